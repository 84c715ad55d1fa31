package backend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A device is a kind of accelerator that a plugin of XLA drives.
type device struct {
	kind   string
	sign   string                 // what tells that there is one, for a person
	there  func(root string) bool // whether there is one, on the system under root
	files  []string               // its plugin, where other programs install it; see places
	flags  []xlaFlag              // XLA's, for the bits and for company on the device
	env    []setting              // the same for libraries below XLA
	bundle bundle                 // where the plugin is fetched from
}

// devices are in the order in which Auto takes them.
var devices = []device{cuda, tpu}

var cuda = device{
	kind:  CUDA,
	sign:  "/dev/nvidia0 or another of its kind",
	there: hasNVIDIA,
	files: []string{"pjrt_c_api_cuda_plugin.so", "nvidia/pjrt_c_api_cuda_plugin.so"},
	flags: cudaFlags,
	env: []setting{
		{"NVIDIA_TF32_OVERRIDE", "0"},          // no 10-bit products in cuBLAS and cuDNN, whatever asks for them
		{"CUBLAS_WORKSPACE_CONFIG", ":4096:8"}, // one workspace a stream: cuBLAS's condition for the same bits
		{"GOPJRT_CUDA_CHECKS", "0"},            // go-xla's search for libraries, which would add to XLA_FLAGS
	},
	bundle: cudaBundle,
}

var tpu = device{
	kind:   TPU,
	sign:   "a TPU on the PCI bus, or TPU_NAME",
	there:  hasTPU,
	files:  []string{"pjrt_c_api_tpu_plugin.so", "libtpu.so"},
	bundle: tpuBundle,
}

func deviceOf(kind string) (device, bool) {
	for _, d := range devices {
		if d.kind == kind {
			return d, true
		}
	}
	return device{}, false
}

// chooseDevice returns the device that is to be opened, found and tried; or none,
// and then, for Auto, what those that are there lack. It is an error if o asks for
// a device by name and it cannot be had.
func (o Options) chooseDevice(ctx context.Context) (c Choice, lacks []string, err error) {
	if d, ok := deviceOf(o.Name); ok {
		c, err := o.prepare(ctx, d)
		if err != nil {
			return Choice{}, nil, fmt.Errorf("open the %s backend: %w", d.kind, err)
		}
		return c, nil, nil
	}
	if o.Name != Auto {
		return Choice{}, nil, nil
	}
	for _, d := range devices {
		if !d.there(o.root) {
			continue
		}
		c, err := o.prepare(ctx, d)
		switch {
		case err == nil:
			return c, lacks, nil
		case ctx.Err() != nil:
			return Choice{}, nil, fmt.Errorf("open the %s backend: %w", d.kind, ctx.Err())
		}
		lacks = append(lacks, notUsed(d.kind, err))
	}
	return Choice{}, lacks, nil
}

func notUsed(kind string, err error) string { return kind + " is not used: " + oneLine(err) }

// prepare finds the device's plugin, fetching it if the device was asked for by
// name, and has it tried.
func (o Options) prepare(ctx context.Context, d device) (Choice, error) {
	path, err := o.find(ctx, d)
	if err != nil {
		return Choice{}, err
	}
	c := Choice{Kind: d.kind, Name: d.kind + ":" + path, Why: fmt.Sprintf("%s: XLA's plugin %s", d.kind, path)}
	if o.Tried {
		return c, nil
	}
	v, err := o.try(ctx, c.Name)
	if err != nil {
		return Choice{}, fmt.Errorf("%w (plugin %s)", err, path)
	}
	c.Why = fmt.Sprintf("%s: %s, XLA's plugin %s, tried: within %.0e of the Go backend", d.kind, v.Device, path, v.Worst)
	return c, nil
}

// find returns the path of the device's plugin.
func (o Options) find(ctx context.Context, d device) (string, error) {
	if err := noXLA(); err != nil {
		return "", err
	}
	if o.plugin != "" {
		return o.plugin, nil
	}
	if !d.there(o.root) {
		return "", fmt.Errorf("there is no such device here: want %s; a plugin given as %s:FILE is tried all the same", d.sign, d.kind)
	}
	b := o.bundling(d)
	if b.check() == nil {
		return b.library(), nil
	}
	if path := inPlace(d, places(os.Getenv)); path != "" {
		return path, nil
	}
	if o.Name == Auto && !b.copied() {
		return "", fmt.Errorf("its plugin is not installed; --backend %s fetches it, once (%.1f GB), and %s:FILE takes one that is here", d.kind, float64(b.size())/1e9, d.kind)
	}
	return b.run(ctx)
}

// pluginFile checks a file that is to be opened as a plugin, and returns its own
// absolute path: go-xla takes a relative one for a name that it looks for.
func pluginFile(file string) (string, error) {
	if file == "" {
		return "", errors.New("the file's name is missing")
	}
	path, err := filepath.Abs(file)
	if err == nil {
		path, err = filepath.EvalSymlinks(path) // NVIDIA's libraries lie beside the file itself
	}
	if err != nil {
		return "", err
	}
	if strings.Contains(path, ",") { // what follows go-xla takes for options
		return "", fmt.Errorf("%s has a comma in its path, which go-xla does not take", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no file: want the plugin's library", path)
	}
	return path, nil
}

// places are the folders where go-xla looks for plugins, less the system's.
// go-xla's own search would load what it finds, untried.
func places(getenv func(string) string) []string {
	if list := getenv("PJRT_PLUGIN_LIBRARY_PATH"); list != "" {
		return filepath.SplitList(list)
	}
	var dirs []string
	if home := getenv("HOME"); home != "" {
		dirs = append(dirs, filepath.Join(home, ".local/lib/go-xla"))
	}
	dirs = append(dirs, "/usr/local/lib/go-xla")
	return append(dirs, filepath.SplitList(getenv("LD_LIBRARY_PATH"))...)
}

// inPlace returns the first of the device's files in the folders, or "".
func inPlace(d device, dirs []string) string {
	for _, dir := range dirs {
		for _, file := range d.files {
			if path, err := pluginFile(filepath.Join(dir, file)); err == nil && filepath.IsAbs(dir) {
				return path
			}
		}
	}
	return ""
}

// hasNVIDIA says whether the system's driver has made a device file for a GPU. A user
// hides all of them by an empty CUDA_VISIBLE_DEVICES, or -1.
func hasNVIDIA(root string) bool {
	visible, set := os.LookupEnv("CUDA_VISIBLE_DEVICES")
	if set && (visible == "" || visible == "-1") {
		return false
	}
	return anyFile(root, "dev/nvidia[0-9]*") || anyFile(root, "dev/dxg") // the latter: Windows' subsystem for Linux
}

// tpus are the device ids of Google's TPUs on the PCI bus. Its other devices, such as
// network cards, have the same vendor.
var tpus = []string{"0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076"}

const google = "0x1ae0"

// hasTPU says whether there is a TPU: as a virtual machine's own PCI device, or told
// by the environment that Google's images set.
func hasTPU(root string) bool {
	if os.Getenv("TPU_NAME") != "" {
		return true
	}
	vendors, err := filepath.Glob(filepath.Join(root, "sys/bus/pci/devices/*/vendor"))
	if err != nil {
		return false
	}
	for _, file := range vendors {
		id := word(filepath.Join(filepath.Dir(file), "device"))
		for _, tpu := range tpus {
			if word(file) == google && id == tpu {
				return true
			}
		}
	}
	return false
}

func anyFile(root, pattern string) bool {
	found, err := filepath.Glob(filepath.Join(root, pattern))
	return err == nil && len(found) > 0
}

// word returns a small file's text, or "" if it cannot be read.
func word(path string) string {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return strings.TrimSpace(string(b))
}
