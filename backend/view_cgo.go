//go:build cgo && linux && (amd64 || arm64)

package backend

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// PJRT makes buffers of memory that is there already, and so does go-xla's client; only
// xla.Backend, which has the client, offers it for memory of its own alone. So the fields
// that it keeps to itself are read and set here, if this version has them: a test of this
// package fails where one has not.

// CanView says whether View works.
func (b *Backend) CanView() bool {
	be, ok := b.compute.(*xla.Backend)
	return ok && b.Kind() == CPU && be.HasSharedBuffers() &&
		has[xla.Backend, *pjrt.Client]("client") && has[xla.Buffer, *pjrt.Buffer]("pjrtBuffer") && has[xla.Buffer, *xla.Backend]("backend")
}

// View returns a buffer of a shape whose numbers x are not copied: x must be memory of
// the host outside of Go's heap, begin at a multiple of ViewAlignment, and stay as it is
// until the buffer is finalized.
func (b *Backend) View(x []float32, shape shapes.Shape) (compute.Buffer, error) {
	switch at := uintptr(unsafe.Pointer(unsafe.SliceData(x))); {
	case !b.CanView():
		return nil, fmt.Errorf("the %s backend makes no buffers of memory that is there: %w", b.Kind(), errors.ErrUnsupported)
	case shape.DType != dtypes.Float32 || shape.Size() != len(x) || at%ViewAlignment != 0:
		return nil, fmt.Errorf("a view of %d numbers at %#x as %v: want so many float32 at a multiple of %d", len(x), at, shape, ViewAlignment)
	}
	be := b.compute.(*xla.Backend)
	client := *field[*pjrt.Client](be, "client")
	view, err := client.CreateViewOfDeviceBuffer(unsafe.Pointer(unsafe.SliceData(x)), shape.DType, shape.Dimensions)
	if err != nil {
		return nil, err
	}
	buffer := &xla.Buffer{}
	*field[*xla.Backend](buffer, "backend") = be
	*field[*pjrt.Buffer](buffer, "pjrtBuffer") = view
	return buffer, nil
}

// has says whether a struct has a field of a type.
func has[Struct, Field any](name string) bool {
	f, ok := reflect.TypeFor[Struct]().FieldByName(name)
	return ok && f.Type == reflect.TypeFor[Field]()
}

// field is where a field of a struct lies.
func field[Field any](in any, name string) *Field {
	return (*Field)(unsafe.Pointer(reflect.ValueOf(in).Elem().FieldByName(name).UnsafeAddr()))
}
