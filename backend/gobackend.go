package backend

import (
	"errors"
	"fmt"
	"os"
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
)

// openGo opens GoMLX's Go backend with an unlimited pool of workers.
//
// The default pool deadlocks on small machines: each node of the graph holds a
// slot, and a matrix product waits for a further one while all are held. Without
// a limit no one waits for a slot. The results do not depend on it.
func openGo(o Options, why string) (*Backend, error) {
	opening.Lock()
	defer opening.Unlock()
	if err := setEnvironment(settings(o.Threads, os.Environ()), o.Log); err != nil {
		return nil, err
	}
	be, err := gobackend.New("")
	if err != nil {
		return nil, fmt.Errorf("open the go backend: %w", err)
	}
	if err := unlimitWorkers(be); err != nil {
		return nil, fmt.Errorf("open the go backend: %w", err)
	}
	return &Backend{compute: be, choice: Choice{Kind: Go, Name: Go, Why: why}}, nil
}

// unlimitWorkers does what the option parallelism=-1 does, which however prints
// a line on standard output. The type is exported by an internal package, hence
// the reflection; it is tried at every start and by a test.
func unlimitWorkers(be compute.Backend) error {
	workers := reflect.Indirect(reflect.ValueOf(be)).FieldByName("Workers")
	if !workers.IsValid() {
		return errors.New("this version of GoMLX's Go backend has no pool named Workers")
	}
	pool, ok := workers.Interface().(interface{ SetMaxParallelism(int) })
	if !ok {
		return errors.New("this version of GoMLX's Go backend has no SetMaxParallelism")
	}
	pool.SetMaxParallelism(-1)
	return nil
}
