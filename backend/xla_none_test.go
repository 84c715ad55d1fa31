//go:build !(cgo && linux && (amd64 || arm64))

package backend_test

import (
	"strings"
	"testing"

	"carillon/backend"
)

// A device is of no use to a build without XLA, which says so where one is there.
func TestWithoutXLAThereIsNoDevice(t *testing.T) {
	o := withGPU(t, "")
	c, err := backend.Choose(t.Context(), o)
	if err != nil || c.Kind != backend.Go || !c.Less || !strings.Contains(c.Why, "; cuda is not used: ") {
		t.Errorf("auto chooses %+v, %v; want go, and why not cuda", c, err)
	}
	for _, name := range []string{"cuda", "tpu", "cuda:xla_none_test.go"} {
		o.Name = name
		if _, err := backend.Choose(t.Context(), o); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=1") && !strings.Contains(err.Error(), "exists for linux") {
			t.Errorf("%s: err = %v, want what to do", name, err)
		}
	}
}
