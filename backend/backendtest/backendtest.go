// Package backendtest opens a compute backend for the tests of other packages.
package backendtest

import (
	"context"
	"os"
	"sync"
	"testing"

	"carillon/backend"
)

// Open returns the best backend that this build and machine have, XLA if it can
// be had, and logs which one the test runs on and why. It is opened once a test
// process and shared: close nothing.
func Open(t testing.TB) *backend.Backend {
	t.Helper()
	return opened(t, auto)
}

// Go returns the Go backend, opened once a test process and shared: for small
// models it starts quicker than XLA compiles.
func Go(t testing.TB) *backend.Backend {
	t.Helper()
	return opened(t, pureGo)
}

// CPU returns XLA, on a device where DeviceEnv names one, or skips the test and says
// why there is none.
func CPU(t testing.TB) *backend.Backend {
	t.Helper()
	be := opened(t, auto)
	if be.Kind() == backend.Go {
		t.Skipf("this test needs XLA; %s", be.Why())
	}
	return be
}

// Each runs a test on every kind of backend that there is, as a subtest named
// for the kind: also on the device, where DeviceEnv names one.
func Each(t *testing.T, test func(t *testing.T, be *backend.Backend)) {
	t.Run(backend.Go, func(t *testing.T) { test(t, Go(t)) })
	name := backend.CPU
	if os.Getenv(DeviceEnv) != "" {
		name = "device"
	}
	t.Run(name, func(t *testing.T) { test(t, CPU(t)) })
}

// DeviceEnv names in the environment what tests compute with in place of XLA's CPU
// plugin, such as cuda:/path/of/xla_cuda_plugin.so. It is opened untried: what it
// computes is what the tests are about.
const DeviceEnv = "CARILLON_TEST_DEVICE"

var (
	auto   = sync.OnceValues(func() (*backend.Backend, error) { return open(os.Getenv(DeviceEnv)) })
	pureGo = sync.OnceValues(func() (*backend.Backend, error) { return open(backend.Go) })
)

func open(name string) (*backend.Backend, error) {
	return backend.Open(context.Background(), backend.Options{Name: name, Progress: os.Stderr, Tried: os.Getenv(DeviceEnv) != ""})
}

func opened(t testing.TB, once func() (*backend.Backend, error)) *backend.Backend {
	t.Helper()
	be, err := once()
	if err != nil {
		t.Fatalf("open a backend for tests: %v", err)
	}
	t.Logf("backend %s", be.Why())
	return be
}
