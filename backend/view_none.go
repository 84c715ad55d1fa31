//go:build !(cgo && linux && (amd64 || arm64))

package backend

import (
	"errors"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// CanView says whether View works: it needs XLA.
func (b *Backend) CanView() bool { return false }

// View needs XLA.
func (b *Backend) View([]float32, shapes.Shape) (compute.Buffer, error) {
	return nil, errors.ErrUnsupported
}
