package backend

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The test's own program hangs if it is told to: see TestMain.
func TestATrialThatHangsIsEnded(t *testing.T) {
	t.Setenv("CARILLON_TEST_FAULT", "hang")
	began := time.Now()
	_, err := trial{[]string{os.Args[0], "--backend", "cuda:none"}, 200 * time.Millisecond}.run(t.Context())
	wantError(t, err, "its trial took longer than 200ms")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("that took %v", took)
	}
}

func TestATrialIsGivenUpWithItsContext(t *testing.T) {
	t.Setenv("CARILLON_TEST_FAULT", "hang")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := trial{[]string{os.Args[0], "--backend", "cuda:none"}, time.Minute}.run(ctx)
	wantError(t, err, "context canceled")
}

func TestTheLineThatTellsMostIsFound(t *testing.T) {
	for said, want := range map[string]string{
		"":              "",
		"\n \n":         "",
		"first\nlast\n": ": last",
		"I0000 starts\nF0000 00:00 Unknown flag in XLA_FLAGS: --x\nSIGABRT: abort\nPC=0x1": ": F0000 00:00 Unknown flag in XLA_FLAGS: --x",
		"SIGSEGV: segmentation violation\n\nr15 0x0":                                       ": SIGSEGV: segmentation violation",
		"fatal error: out of memory\n\tmore":                                               ": fatal error: out of memory",
	} {
		if got := lastWords([]byte(said)); got != want {
			t.Errorf("of %q: %q, want %q", said, got, want)
		}
	}
}

func TestAnswersAreCompared(t *testing.T) {
	answer := func(change func([]part)) []part {
		p := []part{{"loss", 1e-5, []float32{2}}, {"rows", 1e-5, []float32{-4, 1, 0}}, {"halves", 1e-2, []float32{1, 2}}}
		change(p)
		return p
	}
	same := func([]part) {}
	for name, tt := range map[string]struct {
		first, second func([]part)
		err           string
	}{
		"right":              {same, same, ""},
		"as near as allowed": {func(p []part) { p[1].values[1] = 1.00003; p[2].values[0] = 1.01 }, func(p []part) { p[1].values[1] = 1.00003; p[2].values[0] = 1.01 }, ""},
		"wrong":              {func(p []part) { p[1].values[2] = 8e-4 }, same, "its numbers are wrong: rows is off by 2e-04 of its largest value, more than 1e-05"},
		"not a number":       {func(p []part) { p[0].values[0] = float32(math.NaN()) }, same, "loss is off by NaN"},
		"infinite":           {func(p []part) { p[2].values[0] = float32(math.Inf(1)) }, same, "halves is off by +Inf"},
		"short":              {func(p []part) { p[1].values = p[1].values[:2] }, same, "rows is off by +Inf"},
		"never the same":     {same, func(p []part) { p[1].values[0] = -4.000001 }, "it gives other bits each time"},
	} {
		t.Run(name, func(t *testing.T) {
			worst, bits, err := compare([][]part{answer(tt.first), answer(tt.second)}, answer(same))
			if tt.err != "" {
				wantError(t, err, tt.err)
			} else if err != nil || len(bits) != 64 || worst > 1e-5 {
				t.Errorf("worst %g, bits %q, %v", worst, bits, err)
			}
		})
	}
}

func TestDevicesAreSeen(t *testing.T) {
	for name, tt := range map[string]struct {
		files     map[string]string
		env       string
		cuda, tpu bool
	}{
		"nothing":             {},
		"a GPU":               {files: map[string]string{"dev/nvidia0": ""}, cuda: true},
		"a driver, no GPU":    {files: map[string]string{"dev/nvidiactl": ""}},
		"a GPU under Windows": {files: map[string]string{"dev/dxg": ""}, cuda: true},
		"a hidden GPU":        {files: map[string]string{"dev/nvidia0": ""}, env: "CUDA_VISIBLE_DEVICES=-1"},
		"one GPU of two":      {files: map[string]string{"dev/nvidia1": ""}, env: "CUDA_VISIBLE_DEVICES=1", cuda: true},
		"a TPU":               {files: map[string]string{"sys/bus/pci/devices/0000:00:05.0/vendor": "0x1ae0\n", "sys/bus/pci/devices/0000:00:05.0/device": "0x0063\n"}, tpu: true},
		"Google's network":    {files: map[string]string{"sys/bus/pci/devices/0000:00:04.0/vendor": "0x1ae0\n", "sys/bus/pci/devices/0000:00:04.0/device": "0x0042\n"}},
		"another's device":    {files: map[string]string{"sys/bus/pci/devices/0000:00:04.0/vendor": "0x8086\n", "sys/bus/pci/devices/0000:00:04.0/device": "0x0063\n"}},
		"a TPU's image":       {env: "TPU_NAME=local", tpu: true},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, content := range tt.files {
				put(t, filepath.Join(root, file), []byte(content))
			}
			if name, value, ok := strings.Cut(tt.env, "="); ok {
				t.Setenv(name, value)
			}
			if got := cuda.there(root); got != tt.cuda {
				t.Errorf("a GPU is there: %v, want %v", got, tt.cuda)
			}
			if got := tpu.there(root); got != tt.tpu {
				t.Errorf("a TPU is there: %v, want %v", got, tt.tpu)
			}
		})
	}
}

func TestPluginsAreLookedForWhereGoXLADoes(t *testing.T) {
	env := map[string]string{"HOME": "/home/x", "LD_LIBRARY_PATH": "/a:/b"}
	get := func(name string) string { return env[name] }
	if got := strings.Join(places(get), " "); got != "/home/x/.local/lib/go-xla /usr/local/lib/go-xla /a /b" {
		t.Errorf("places are %s", got)
	}
	env["PJRT_PLUGIN_LIBRARY_PATH"] = "/c:/d"
	if got := strings.Join(places(get), " "); got != "/c /d" {
		t.Errorf("places are %s", got)
	}
	dir := t.TempDir()
	want := filepath.Join(dir, "nvidia/pjrt_c_api_cuda_plugin.so")
	put(t, want, nil)
	if got := inPlace(cuda, []string{"", "relative", "/nowhere", dir}); got != want {
		t.Errorf("found %q, want %q", got, want)
	}
	if got := inPlace(tpu, []string{dir}); got != "" {
		t.Errorf("found %q for a TPU", got)
	}
}

// XLA reads its flags once; NVIDIA's compiler is the one that came with the plugin.
func TestADevicesEnvironment(t *testing.T) {
	dir := t.TempDir()
	plugin := filepath.Join(dir, "jax_plugins/xla_cuda13/xla_cuda_plugin.so")
	put(t, plugin, nil)
	value := func(d device, name string) (values []string) {
		for _, s := range d.settings(4, plugin, []string{"XLA_FLAGS=--x", "DNNL_VERBOSE=1"}) {
			if s.name == name {
				values = append(values, s.value)
			}
		}
		return values
	}
	want := text(cudaFlags)
	if got := value(cuda, "XLA_FLAGS"); !slices.Equal(got, []string{want}) {
		t.Errorf("XLA_FLAGS is %q, want %q", got, want)
	}
	put(t, filepath.Join(dir, "nvidia/cu13/lib/libcudart.so.13"), nil)
	put(t, filepath.Join(dir, "nvidia/cu13/nvvm/libdevice/libdevice.10.bc"), nil)
	want += " --xla_gpu_cuda_data_dir=" + filepath.Join(dir, "nvidia/cu13")
	if got := value(cuda, "XLA_FLAGS"); !slices.Equal(got, []string{want}) {
		t.Errorf("XLA_FLAGS is %q, want %q", got, want)
	}
	if got := value(tpu, "XLA_FLAGS"); !slices.Equal(got, []string{""}) {
		t.Errorf("a TPU's XLA_FLAGS is %q, want none", got)
	}
	if got := value(cuda, "NVIDIA_TF32_OVERRIDE"); !slices.Equal(got, []string{"0"}) {
		t.Errorf("NVIDIA_TF32_OVERRIDE is %q, want 0", got)
	}
}

func TestEveryFlagHasAReason(t *testing.T) {
	docs, err := os.ReadFile("../docs/backends.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		for _, f := range d.flags {
			if f.reason == "" || !strings.Contains(string(docs), "| `--"+f.name+"` | "+f.value+" |") {
				t.Errorf("%+v has no reason, or is not in docs/backends.md so", f)
			}
		}
	}
}
