//go:build cgo && linux && (amd64 || arm64)

package backend

import (
	"testing"

	"github.com/gomlx/go-xla/installer"
)

func TestTheRegistrysFileIsFoundByNameAndHash(t *testing.T) {
	w := wheels["linux/amd64"]
	file := func(name, sum string) installer.PipReleaseInfo {
		return installer.PipReleaseInfo{Filename: name, URL: "address of " + name, Digests: map[string]string{"sha256": sum}}
	}
	for _, tt := range []struct {
		name string
		has  []installer.PipReleaseInfo
		err  string
	}{
		{"found", []installer.PipReleaseInfo{file("another.whl", "1"), file(w.name, w.sha256)}, ""},
		{"other bytes", []installer.PipReleaseInfo{file(w.name, "1")}, "the registry's file has sha256 1, want " + w.sha256},
		{"another name", []installer.PipReleaseInfo{file("another.whl", w.sha256)}, "no such file in xla-cpu-pjrt 0.0.1"},
		{"nothing", nil, "no such file in xla-cpu-pjrt 0.0.1"},
	} {
		info := &installer.PipPackageInfo{Releases: map[string][]installer.PipReleaseInfo{wheelVersion: tt.has}}
		url, err := addressOf(info, w)
		if tt.err != "" {
			wantError(t, err, tt.err)
		} else if err != nil || url != "address of "+w.name {
			t.Errorf("%s: address %q, %v", tt.name, url, err)
		}
	}
}
