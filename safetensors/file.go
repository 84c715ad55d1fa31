package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/edsrzf/mmap-go"
)

// Dir is the open weights of a Hugging Face directory, or one file of tensors.
// It is safe for concurrent use until it is closed.
type Dir struct {
	tensors []Info
	byName  map[string]int
	maps    []mmap.MMap
}

// The names that Hugging Face gives a model's weights.
const (
	SingleFile = "model.safetensors"
	IndexFile  = "model.safetensors.index.json"
)

// Open opens one file.
func Open(path string) (*Dir, error) {
	d := &Dir{}
	if err := d.add(path); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, d.index()
}

// OpenDir opens the weights of dir: model.safetensors, or the files that
// model.safetensors.index.json names.
func OpenDir(dir string) (*Dir, error) {
	names, lies, err := weightFiles(dir)
	if err != nil {
		return nil, err
	}
	d := &Dir{}
	for _, name := range names {
		if err := d.add(filepath.Join(dir, name)); err != nil {
			return nil, errors.Join(err, d.Close())
		}
		err = errors.Join(err, d.holds(name, lies))
	}
	if err := errors.Join(err, d.index()); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), d.Close())
	}
	return d, nil
}

// holds checks that the last file that was added has the tensors that an index says
// lie in it.
func (d *Dir) holds(name string, lies map[string]string) error {
	for _, tensor := range slices.Sorted(maps.Keys(lies)) {
		has := func(t Info) bool { return t.Name == tensor }
		if lies[tensor] == name && !slices.ContainsFunc(d.tensors, has) {
			return fmt.Errorf("%s says that tensor %s lies in %s, which does not hold it", IndexFile, tensor, name)
		}
	}
	return nil
}

// weightFiles names the files that hold the weights of dir, and, where there is an
// index, the file of each tensor.
func weightFiles(dir string) (names []string, lies map[string]string, err error) {
	data, err := os.ReadFile(filepath.Join(dir, IndexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return []string{SingleFile}, nil, unpickled(dir)
	}
	if err != nil {
		return nil, nil, err
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", filepath.Join(dir, IndexFile), err)
	}
	for tensor, name := range index.WeightMap {
		if name != filepath.Base(name) || !strings.HasSuffix(name, ".safetensors") {
			return nil, nil, fmt.Errorf("%s: tensor %q lies in %q: want the name of a .safetensors file in the same directory", filepath.Join(dir, IndexFile), tensor, name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return nil, nil, fmt.Errorf("%s: weight_map names no file", filepath.Join(dir, IndexFile))
	}
	return names, index.WeightMap, nil
}

// pickles are the names of PyTorch's weights: programs that make tensors when they
// are run, which nothing here does.
var pickles = []string{"pytorch_model.bin", "pytorch_model.bin.index.json"}

// unpickled says how to convert a directory that has no weights but PyTorch's.
func unpickled(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, SingleFile)); err == nil {
		return nil
	}
	for _, name := range pickles {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s holds weights as PyTorch's %s, which is not read: a file of that kind can run any program; convert it with: "+
				`python3 -c "import sys, transformers as t; d = sys.argv[1]; c = t.AutoConfig.from_pretrained(d); getattr(t, c.architectures[0]).from_pretrained(d, torch_dtype='auto').save_pretrained(d)" %s`, dir, name, dir)
		}
	}
	return nil
}

// add maps a file and checks it.
func (d *Dir) add(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() == 0 {
		return errors.Join(fmt.Errorf("%s: an empty file is no safetensors file", path), err)
	}
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return fmt.Errorf("map %s: %w", path, err)
	}
	d.maps = append(d.maps, m)
	tensors, err := parse(m)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	d.tensors = append(d.tensors, tensors...)
	return nil
}

// index sorts the tensors of all files by name; each may be in one only.
func (d *Dir) index() error {
	slices.SortFunc(d.tensors, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	d.byName = make(map[string]int, len(d.tensors))
	for i, t := range d.tensors {
		if _, twice := d.byName[t.Name]; twice {
			return fmt.Errorf("tensor %q is in two files", t.Name)
		}
		d.byName[t.Name] = i
	}
	return nil
}

// Tensors returns the tensors by name. The slice is the Dir's.
func (d *Dir) Tensors() []Info { return d.tensors }

// Close unmaps the files.
func (d *Dir) Close() error {
	var errs []error
	for _, m := range d.maps {
		errs = append(errs, m.Unmap())
	}
	d.maps, d.tensors, d.byName = nil, nil, nil
	return errors.Join(errs...)
}

// Same reports whether two tensors of one type and shape hold the same bits. Of
// two types, it compares their values.
func (d *Dir) Same(a, b string) (bool, error) {
	x, err := d.tensor(a)
	if err != nil {
		return false, err
	}
	y, err := d.tensor(b)
	if err != nil {
		return false, err
	}
	if !slices.Equal(x.Shape, y.Shape) {
		return false, nil
	}
	if x.DType == y.DType {
		return bytes.Equal(x.data, y.data), nil
	}
	p, q := make([]float32, x.Size()), make([]float32, y.Size())
	if err := errors.Join(x.float32s(p), y.float32s(q)); err != nil {
		return false, err
	}
	return slices.Equal(p, q), nil
}

func (d *Dir) tensor(name string) (Info, error) {
	i, ok := d.byName[name]
	if !ok {
		return Info{}, fmt.Errorf("there is no tensor %q", name)
	}
	return d.tensors[i], nil
}

// Decode reads all tensors of a file that is in memory as float32, in the order of
// their names.
func Decode(file []byte) ([]Tensor, error) {
	infos, err := parse(file)
	if err != nil {
		return nil, err
	}
	tensors := make([]Tensor, len(infos))
	for i, t := range infos {
		tensors[i] = Tensor{Name: t.Name, Shape: t.Shape, Data: make([]float32, t.Size())}
		if err := t.float32s(tensors[i].Data); err != nil {
			return nil, err
		}
	}
	return tensors, nil
}

// Float32 fills dst, which has the tensor's number of elements, with its values.
func (d *Dir) Float32(name string, dst []float32) error {
	t, err := d.tensor(name)
	if err != nil {
		return err
	}
	if len(dst) != t.Size() {
		return fmt.Errorf("tensor %q has %d elements, want %d", name, t.Size(), len(dst))
	}
	return t.float32s(dst)
}
