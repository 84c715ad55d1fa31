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

// CPU returns XLA, or skips the test and says why there is none.
func CPU(t testing.TB) *backend.Backend {
	t.Helper()
	be := opened(t, auto)
	if be.Kind() != backend.CPU {
		t.Skipf("this test needs XLA; %s", be.Why())
	}
	return be
}

// Each runs a test on every kind of backend that there is, as a subtest named
// for the kind.
func Each(t *testing.T, test func(t *testing.T, be *backend.Backend)) {
	t.Run(backend.Go, func(t *testing.T) { test(t, Go(t)) })
	t.Run(backend.CPU, func(t *testing.T) { test(t, CPU(t)) })
}

var (
	auto   = sync.OnceValues(func() (*backend.Backend, error) { return open(backend.Auto) })
	pureGo = sync.OnceValues(func() (*backend.Backend, error) { return open(backend.Go) })
)

func open(name string) (*backend.Backend, error) {
	return backend.Open(context.Background(), backend.Options{Name: name, Progress: os.Stderr})
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
