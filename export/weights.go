package export

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"carillon/safetensors"
)

// dtypes are the spec's words for how weights are stored; none is float32.
var dtypes = map[string]safetensors.DType{
	"": safetensors.F32, "float32": safetensors.F32, "float16": safetensors.F16, "bfloat16": safetensors.BF16,
}

// writeWeights writes a weights file and returns its SHA-256 in hex, by which the
// export is known.
func writeWeights(path string, dtype safetensors.DType, tensors []safetensors.Tensor) (sum string, err error) {
	if len(tensors) == 0 {
		return "", fmt.Errorf("%s: there is no tensor to export", path)
	}
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	w := bufio.NewWriter(io.MultiWriter(f, h))
	err = cmp.Or(safetensors.Write(w, dtype, tensors), w.Flush())
	if err = cmp.Or(err, f.Close()); err != nil {
		return "", fmt.Errorf("export: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Sum returns the hash that an export is known by, adapter_sha256: SHA-256 in hex of
// its weights file, or of all of them one after the other, in the order of their names.
func Sum(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s: there is no weights file", dir)
	}
	if err != nil {
		return "", err
	}
	slices.Sort(files)
	h := sha256.New()
	for _, path := range files {
		if err := read(h, path); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// read writes a file's bytes to w.
func read(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return cmp.Or(err, f.Close())
}

// endless says whether a number is none, or infinite.
func endless(x float32) bool { return x-x != 0 }

// readTensors reads all tensors of an adapter's file, which must be numbers.
func readTensors(path string) ([]safetensors.Tensor, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var tensors []safetensors.Tensor
	for _, t := range f.Tensors() {
		if t.Size() == 0 {
			return nil, fmt.Errorf("%s: tensor %q has shape %v, which is of no number", path, t.Name, t.Shape)
		}
		data := make([]float32, t.Size())
		if err := f.Float32(t.Name, data); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if i := slices.IndexFunc(data, endless); i >= 0 {
			return nil, fmt.Errorf("%s: tensor %q: element %d is %v; want a finite number", path, t.Name, i, data[i])
		}
		tensors = append(tensors, safetensors.Tensor{Name: t.Name, Shape: t.Shape, Data: data})
	}
	return tensors, nil
}
