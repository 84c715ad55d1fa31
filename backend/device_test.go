package backend_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"carillon/backend"
	"carillon/backend/backendtest"
)

// faultEnv says what goes wrong in the process that tries a device, which is this
// test's program.
const faultEnv = "CARILLON_TEST_FAULT"

// faults are the ways of a trial, by name.
var faults = map[string]func() error{
	"none": func() error {
		return backend.ProbeCommand(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	},
	"wrong": func() error {
		return backend.ProbeWrong(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	},
	"hang":    func() error { <-time.After(time.Hour); return nil },
	"crash":   func() error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) },
	"panic":   func() error { panic("out of luck") },
	"exit":    func() error { return errors.New("no driver") },
	"silence": func() error { return nil },
	"flag": func() error {
		backend.AddUnknownFlag()
		return backend.ProbeCommand(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	},
}

// standIn returns the CPU's plugin, which stands in for a device's.
func standIn(t *testing.T) string {
	t.Helper()
	backendtest.CPU(t)
	path, err := backend.Install(t.Context(), backend.Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// withGPU is a system that has a GPU, and its plugin, linked to file, where go-xla
// looks for it; "" for none.
func withGPU(t *testing.T, file string) backend.Options {
	t.Helper()
	root := t.TempDir()
	place := filepath.Join(root, "plugins")
	err := errors.Join(os.Mkdir(filepath.Join(root, "dev"), 0o755), os.Mkdir(place, 0o755), os.WriteFile(filepath.Join(root, "dev/nvidia0"), nil, 0o644))
	if file != "" {
		err = errors.Join(err, os.Symlink(file, filepath.Join(place, "pjrt_c_api_cuda_plugin.so")))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", place)
	return backend.OnSystem(root, backend.Options{Prober: []string{os.Args[0]}, Offline: true})
}

func TestADeviceIsTriedAndOpened(t *testing.T) {
	want, err := gradientHash(backendtest.CPU(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(faultEnv, "none")
	t.Setenv("XLA_FLAGS", "--xla_gpu_autotune_level=4")
	var log, progress bytes.Buffer
	o := backend.Options{Name: "cuda:" + standIn(t), Prober: []string{os.Args[0]}, Log: slog.New(slog.NewTextHandler(&log, nil)), Progress: &progress}
	be, err := backend.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	if got, err := gradientHash(be); err != nil || got != want {
		t.Errorf("it computes %s, %v; want the bits of the plugin that stands in, %s", got, err, want)
	}
	if c := be.Choice(); c.Kind != backend.CUDA || c.Name != o.Name || c.Less || !strings.Contains(c.Why, "tried: within ") {
		t.Errorf("Choice() = %+v", c)
	}
	if flags := os.Getenv("XLA_FLAGS"); !strings.HasPrefix(flags, "--xla_gpu_deterministic_ops=true --xla_gpu_autotune_level=0") {
		t.Errorf("XLA_FLAGS is %q", flags)
	}
	if !strings.Contains(log.String(), `name=XLA_FLAGS was="--xla_gpu_autotune_level=4"`) {
		t.Errorf("log is %q, want the user's flags in it", log.String())
	}
	if !strings.Contains(progress.String(), "in a process of its own") {
		t.Errorf("progress is %q", progress.String())
	}
}

// What goes wrong in a trial is an error where the device was asked for by name, and
// a reason where it was not.
func TestADeviceThatFailsItsTrialIsNotOpened(t *testing.T) {
	plugin := standIn(t)
	for fault, want := range map[string]string{
		"wrong":   "its numbers are wrong: the gradient of the layer is off by",
		"crash":   "its trial ended with signal: killed",
		"panic":   "its trial ended with exit status 2: panic: out of luck",
		"exit":    "its trial ended with exit status 1: no driver",
		"silence": "its trial ended without a word",
		"flag":    "Unknown flag in XLA_FLAGS: --xla_no_such_flag",
	} {
		t.Run(fault, func(t *testing.T) {
			o := withGPU(t, plugin)
			t.Setenv(faultEnv, fault)
			if o.Name = backend.CUDA; fault != "wrong" { // which takes its time
				_, err := backend.Choose(t.Context(), o)
				if err == nil || !strings.HasPrefix(err.Error(), "open the cuda backend: ") || !strings.Contains(err.Error(), want) {
					t.Errorf("by name: err = %v, want %q in it", err, want)
				}
			}
			o.Name = backend.Auto
			c, err := backend.Choose(t.Context(), o)
			if err != nil || c.Kind != backend.CPU || !c.Less {
				t.Fatalf("auto chooses %+v, %v; want cpu, and that it is less", c, err)
			}
			if !strings.Contains(c.Why, "; cuda is not used: ") || !strings.Contains(c.Why, want) || strings.Contains(c.Why, "\n") {
				t.Errorf("Why is %q, want %q in one line", c.Why, want)
			}
		})
	}
}

func TestAutoTakesADeviceThatPassesItsTrial(t *testing.T) {
	o := withGPU(t, standIn(t))
	t.Setenv(faultEnv, "none")
	c, err := backend.Choose(t.Context(), o)
	if err != nil || c.Kind != backend.CUDA || c.Name != "cuda:"+standIn(t) || c.Less { // the link's target
		t.Fatalf("auto chooses %+v, %v; want cuda", c, err)
	}
	// As a node that was started with what was chosen.
	be, err := backend.Open(t.Context(), backend.Options{Name: c.Name, Tried: true, Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	if be.Kind() != backend.CUDA || be.Threads() != 0 {
		t.Errorf("kind %s with %d threads, want cuda with 0", be.Kind(), be.Threads())
	}
}

func TestATrialEndsWithItsContext(t *testing.T) {
	o := withGPU(t, standIn(t))
	t.Setenv(faultEnv, "hang")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := backend.Choose(ctx, o); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v, want that the time is over", err)
	}
}

func TestADeviceThatCannotBeTriedIsNotOpened(t *testing.T) {
	o := withGPU(t, standIn(t))
	o.Prober = nil
	c, err := backend.Choose(t.Context(), o)
	if err != nil || c.Kind != backend.CPU || !strings.Contains(c.Why, "cuda is not used: this program has no process in which a device can be tried") {
		t.Errorf("auto chooses %+v, %v", c, err)
	}
	o.Prober = []string{filepath.Join(t.TempDir(), "gone")}
	if c, err = backend.Choose(t.Context(), o); err != nil || !strings.Contains(c.Why, "start its trial: ") {
		t.Errorf("auto chooses %+v, %v", c, err)
	}
}

func TestADeviceWithoutPluginIsNamed(t *testing.T) {
	backendtest.CPU(t)
	o := withGPU(t, "")
	o.CacheDir = t.TempDir()
	c, err := backend.Choose(t.Context(), o)
	if want := "cuda is not used: its plugin is not installed; --backend cuda fetches it, once (2.0 GB), and cuda:FILE takes one that is here"; err != nil || !strings.Contains(c.Why, want) {
		t.Errorf("auto chooses %+v, %v; want %q", c, err, want)
	}
	o.Name = backend.CUDA
	if _, err = backend.Choose(t.Context(), o); err == nil || !strings.Contains(err.Error(), "XLA's CUDA plugin is not installed, and the network is not to be used") {
		t.Errorf("by name, offline: %v", err)
	}
	o = backend.OnSystem(t.TempDir(), backend.Options{Name: backend.TPU})
	if _, err = backend.Choose(t.Context(), o); err == nil || !strings.Contains(err.Error(), "there is no such device here: want a TPU on the PCI bus") {
		t.Errorf("no device: %v", err)
	}
}
