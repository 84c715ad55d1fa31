//go:build cgo && linux && (amd64 || arm64)

package backend

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdlib.h>
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
)

// noXLA says why this build has no XLA.
func noXLA() error { return nil }

// deviceOptions follow the plugin's name where it is opened: products of whole
// float32 numbers, no memory taken ahead (several processes share a device), and
// host memory that is not the device's, whatever go-xla reads out of the path.
const deviceOptions = ",tf32=false,preallocate=false,shared_buffers=false"

// openDevice opens the plugin in this process.
func openDevice(o Options, c Choice) (*Backend, error) {
	d, ok := deviceOf(c.Kind)
	if !ok {
		return nil, errors.New(c.Kind + " is no device")
	}
	path := strings.TrimPrefix(c.Name, c.Kind+":")
	opening.Lock()
	defer opening.Unlock()
	if err := setEnvironment(d.settings(o.Threads, path, os.Environ()), o.Log); err != nil {
		return nil, err
	}
	preload(path)
	options := deviceOptions
	if c.Kind != CUDA {
		options = strings.Replace(options, ",preallocate=false", "", 1)
	}
	be, err := xla.NewWithOptions(path+options, nil)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if be.NumDevices() == 0 {
		return nil, fmt.Errorf("open %s: it sees no device", path)
	}
	return &Backend{compute: be, choice: c}, nil
}

// description says which device it is.
func description(be *Backend) string {
	x, ok := be.Compute().(interface {
		DeviceDescription(compute.DeviceNum) string
	})
	if !ok {
		return be.Kind()
	}
	return x.DeviceDescription(0)
}

// preloaded are NVIDIA's libraries that others load by name, which the dynamic
// linker then takes from memory: in the wheels they lie where it would not look.
var preloaded = []string{
	"cu13/lib/libcudart.so.13", "cu13/lib/libnvrtc.so.13", "cu13/lib/libcublasLt.so.13", "cu13/lib/libcublas.so.13",
	"cu13/lib/libnvJitLink.so.13", "cu13/lib/libcusparse.so.12", "cu13/lib/libcusolver.so.12", "cu13/lib/libcufft.so.12",
	"nccl/lib/libnccl.so.2", "cudnn/lib/libcudnn.so.9",
}

// preload loads the libraries that lie beside the plugin. What is not there, or
// does not load, is the plugin's own search's affair.
func preload(plugin string) {
	dir := nvidiaDir(plugin)
	if dir == "" {
		return
	}
	for _, file := range preloaded {
		path := filepath.Join(dir, file)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		name := C.CString(path)
		C.dlopen(name, C.RTLD_NOW|C.RTLD_LOCAL)
		C.free(unsafe.Pointer(name))
	}
}
