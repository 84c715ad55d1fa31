package agent

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestDevices(t *testing.T) {
	dev := t.TempDir()
	for _, name := range []string{"nvidia0", "nvidia1", "nvidiactl", "null"} {
		if err := os.WriteFile(filepath.Join(dev, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	none := t.TempDir()
	for _, tt := range []struct {
		text, dev, visible string // visible "-": not set
		want               []string
	}{
		{"all", dev, "-", []string{"cuda:0 0", "cuda:1 1"}},
		{"all", dev, "3,GPU-ab", []string{"cuda:3 3", "cuda:GPU-ab GPU-ab"}},
		{"all", dev, "", []string{"cpu "}},
		{"all", none, "-", []string{"cpu "}},
		{"cuda:1", dev, "-", []string{"cuda:1 1"}},
		{"cpu:2", dev, "-", []string{"cpu:0 ", "cpu:1 "}},
		{"go", dev, "-", []string{"go:0 "}},
		{"tpu", dev, "-", []string{"tpu "}},
		{"cuda", none, "-", nil}, {"cuda:0,0", dev, "-", nil}, {"cuda:x", dev, "-", nil}, {"cpu:0", dev, "-", nil}, {"gpu", dev, "-", nil}, {"", dev, "-", nil},
	} {
		t.Setenv(visibleGPUs, tt.visible) // so that it is as before afterwards
		if tt.visible == "-" {
			os.Unsetenv(visibleGPUs)
		}
		all, err := parseDevices(tt.text, tt.dev)
		var got []string
		for _, d := range all {
			env := ""
			if len(d.Env) > 0 {
				env = d.Env[0][len(visibleGPUs)+1:]
			}
			got = append(got, d.Name+" "+env)
		}
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("%s with %s=%s: %q, %v; want %q", tt.text, visibleGPUs, tt.visible, got, err, tt.want)
		}
	}
}
