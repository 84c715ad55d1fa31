package backend_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"carillon/backend"
	"carillon/backend/backendtest"
)

// childEnv names the backend that a process started by a test opens, to compute
// with it and write the hash of what came out to standard error.
const childEnv = "CARILLON_TEST_BACKEND"

func TestMain(m *testing.M) {
	if fault, ok := faults[os.Getenv(faultEnv)]; ok && len(os.Args) > 1 && os.Args[1] == "--backend" {
		if err := fault(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	name := os.Getenv(childEnv)
	if name == "" {
		os.Exit(m.Run())
	}
	be, err := backend.Open(context.Background(), backend.Options{Name: name})
	if err == nil {
		var sum string
		sum, err = gradientHash(be)
		fmt.Fprint(os.Stderr, sum)
	}
	if err != nil {
		fmt.Fprint(os.Stderr, err)
		os.Exit(1)
	}
}

// gradientHash returns a hash over gradients of a shape whose bits, on XLA,
// are known to depend on the number of threads (4, 8 and 16 give three hashes).
// The Go backend gets a small one, for it is slow.
func gradientHash(be *backend.Backend) (string, error) {
	rows, cols := 512, 128
	if be.Kind() == backend.Go {
		rows, cols = 64, 32
	}
	e, err := NewExec(be.Compute(), func(x, w *Node) []*Node {
		y := MatMul(Tanh(MatMul(x, w)), w)
		return Gradient(ReduceAllSum(Mul(y, Sin(y))), x, w)
	})
	if err != nil {
		return "", err
	}
	out, err := e.Call(numbers(rows, cols, 1), numbers(cols, cols, 1.0/16))
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, t := range out {
		if err := tensors.ConstFlatData(t, func(f []float32) { fmt.Fprintf(h, "%x", f) }); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

func numbers(rows, cols int, scale float32) *tensors.Tensor {
	v := make([]float32, rows*cols)
	for i := range v {
		v[i] = (float32(i*7919%1013)/500 - 1) * scale
	}
	return tensors.FromFlatDataAndDimensions(v, rows, cols)
}

// child runs gradientHash in a process of its own and returns its two outputs.
func child(t *testing.T, name string, env ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), childEnv+"="+name), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// The number of cores that the machine or the user grants, and what the user has
// set, must not reach the bits; and nothing may be written to standard output.
func TestBitsDoNotDependOnTheEnvironment(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		want, err := gradientHash(be)
		if err != nil {
			t.Fatal(err)
		}
		stdout, got, err := child(t, be.Kind(), "GOMAXPROCS=1", "NPROC=16", "PJRT_NPROC=8", "GOMLX_FUSION=0", "GOMLX_BACKEND=none",
			"XLA_FLAGS=--xla_cpu_enable_fast_math=true --no_such_flag", "XLA_DEBUG_OPTIONS=nonsense")
		if err != nil || got != want {
			t.Errorf("in another environment: %v, hash %s, want %s", err, got, want)
		}
		if stdout != "" {
			t.Errorf("standard output is %q, want nothing", stdout)
		}
	})
}

// The number of threads does reach XLA: without this, the test above tells nothing.
func TestThreadsReachXLA(t *testing.T) {
	backendtest.CPU(t)
	before := osThreads(t)
	be, err := backend.Open(t.Context(), backend.Options{Name: backend.CPU, Threads: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	if grew := osThreads(t) - before; grew < 16 || be.Threads() != 16 {
		t.Errorf("the process got %d threads more, Threads() = %d; want at least 16, and 16", grew, be.Threads())
	}
}

func osThreads(t *testing.T) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// GoMLX's own default, a limited pool, hangs here at the first call.
func TestTheGoBackendDoesNotDeadlock(t *testing.T) {
	be := backendtest.Go(t)
	e, err := NewExec(be.Compute(), func(x *Node) *Node {
		sum := Erf(x)
		for i := range 16 {
			sum = Add(sum, Erf(AddScalar(x, float64(i))))
		}
		return ReduceAllSum(sum)
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		for range 2 {
			if _, err := e.Call(numbers(512, 512, 1)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the graph still runs after a minute")
	}
}

func TestNamesThatCannotBeOpenedAreRefused(t *testing.T) {
	comma := filepath.Join(t.TempDir(), "a,b")
	if err := os.WriteFile(comma, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		o    backend.Options
		want string
	}{
		{backend.Options{Name: "gpu"}, `backend "gpu" is unknown; use auto, cuda, tpu, cpu or go`},
		{backend.Options{Name: "cpu:/plugin.so"}, `backend "cpu:/plugin.so": only cuda and tpu take a file`},
		{backend.Options{Name: "cuda:"}, `backend "cuda:": the file's name is missing`},
		{backend.Options{Name: "cuda:/no/such.so"}, `backend "cuda:/no/such.so": lstat /no: no such file or directory`},
		{backend.Options{Name: "tpu:/"}, `backend "tpu:/": / is no file: want the plugin's library`},
		{backend.Options{Name: "tpu:" + comma}, "backend \"tpu:" + comma + "\": " + comma + " has a comma in its path, which go-xla does not take"},
		{backend.Options{Name: "go", Threads: -1}, "threads -1 is out of range; use 1 to 256"},
		{backend.Options{Threads: 1000}, "threads 1000 is out of range; use 1 to 256"},
	} {
		be, err := backend.Open(t.Context(), tt.o)
		if err == nil || err.Error() != tt.want {
			t.Errorf("Open(%+v) = %v, %v; want %s", tt.o, be, err, tt.want)
		}
	}
}

// Without XLA "auto" is the Go backend and says why and what to do; "cpu" fails.
func TestAutoFallsBackToGoAndSaysWhy(t *testing.T) {
	o := backend.Options{CacheDir: t.TempDir(), Offline: true}
	be, err := backend.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	if be.Kind() != backend.Go || be.Threads() != 0 {
		t.Errorf("kind %s with %d threads, want go with 0", be.Kind(), be.Threads())
	}
	why := be.Why()
	if !strings.HasPrefix(why, "go: XLA, about 20 times faster, is not available: ") || strings.Contains(why, "\n") {
		t.Errorf("Why() = %q", why)
	}
	if !strings.Contains(why, "run once without --offline") && !strings.Contains(why, "CGO_ENABLED=1") &&
		!strings.Contains(why, "exists for linux") {
		t.Errorf("Why() = %q, want a way to get XLA in it", why)
	}
	o.Name = backend.CPU
	if _, err := backend.Open(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "open the cpu backend: ") {
		t.Errorf("cpu: err = %v, want that it cannot be opened", err)
	}
}

func TestWhatIsOverriddenIsLogged(t *testing.T) {
	t.Setenv("XLA_FLAGS", "--xla_cpu_max_isa=SSE4_2")
	t.Setenv("NPROC", "4") // as we would set it: nothing to say
	var lines bytes.Buffer
	_, err := backend.Open(t.Context(), backend.Options{Name: backend.Go, Log: slog.New(slog.NewTextHandler(&lines, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if got := lines.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `name=XLA_FLAGS was="--xla_cpu_max_isa=SSE4_2"`) {
		t.Errorf("log is %q, want one line about XLA_FLAGS", got)
	}
}

// A relative cache folder means one place, wherever a process is started.
func TestACacheFolderMayBeRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	be, err := backend.Open(t.Context(), backend.Options{CacheDir: "here", Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	if dir, _ := filepath.Abs("here"); be.Kind() == backend.Go && strings.Contains(be.Why(), "into ") && !strings.Contains(be.Why(), dir) {
		t.Errorf("Why() = %q, want %s in it", be.Why(), dir)
	}
}
