//go:build !(cgo && linux && (amd64 || arm64))

package backend

import (
	"context"
	"errors"
	"runtime"
)

// openCPU says why this build has no XLA.
func openCPU(context.Context, Options) (*Backend, error) { return nil, noXLA() }

// openDevice says the same.
func openDevice(Options, Choice) (*Backend, error) { return nil, noXLA() }

// Keep has nothing to keep.
func (b *Backend) Keep() {}

func description(be *Backend) string { return be.Kind() }

// lookUp has nobody to ask: the registry's address is go-xla's knowledge.
func lookUp(context.Context, wheel) (string, error) { return "", noXLA() }

func noXLA() error {
	if _, err := wheelFor(runtime.GOOS, runtime.GOARCH); err != nil {
		return err
	}
	return errors.New("this program was built without cgo; install a C compiler (gcc or clang), set CGO_ENABLED=1 and build it again")
}
