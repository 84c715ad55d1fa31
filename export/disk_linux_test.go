package export

import (
	"errors"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"carillon/objstore/storetest"
	"carillon/safetensors"
)

// An export that does not fit leaves the earlier one as it is, and nothing else.
func TestAFullDiskKeepsTheEarlierExport(t *testing.T) {
	storetest.OnSmallDisk(t, "64k", func(t *testing.T, dir string) {
		out := filepath.Join(dir, "adapter")
		before, err := Adapter(out, adapterOf("c_attn"), fixture(t))
		if err != nil {
			t.Fatal(err)
		}
		big := []safetensors.Tensor{
			{Name: "base_model.model.x.lora_A.weight", Shape: []int{4, 1 << 14}, Data: make([]float32, 1<<16)},
			{Name: "base_model.model.x.lora_B.weight", Shape: []int{1, 4}, Data: make([]float32, 4)},
		}
		if _, err := Adapter(out, adapterOf("x"), big); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("256 KiB on a disk of 64: %v, want no space left", err)
		}
		if names := namesIn(t, dir); !slices.Equal(names, []string{"adapter"}) {
			t.Errorf("%q is there, want the earlier export alone", names)
		}
		if again, err := Adapter(out, adapterOf("c_attn"), fixture(t)); err != nil || again != before {
			t.Errorf("the same export again: %s (%v), want %s", again, err, before)
		}
	})
}
