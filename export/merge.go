package export

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"carillon/job"
	"carillon/methods"
	"carillon/model"
	"carillon/model/family"
	"carillon/safetensors"
)

// shardSize is the most that a weights file holds, in bytes, as Hugging Face cuts
// them.
const shardSize = 5_000_000_000

// Merge makes dir a Hugging Face model directory that computes what the base model in
// baseDir does with the adapter in adapterDir: the adapter becomes part of the
// weights, which are stored in the base's type, rounded once. It returns the SHA-256
// of the weights in hex. Adapters that change more than weights (prompts, prefixes,
// bottlenecks) cannot be merged.
func Merge(dir, baseDir, adapterDir string) (sum string, err error) {
	info, tensors, err := Open(adapterDir)
	if err != nil {
		return "", err
	}
	hash, err := model.HashDir(baseDir, model.Options{})
	if err == nil {
		err = info.CheckBase(baseDir, hash)
	}
	if err != nil {
		return "", fmt.Errorf("merge %s into %s: %w", adapterDir, baseDir, err)
	}
	sum, err = merge(dir, baseDir, info.Spec, tensors, shardSize)
	if err != nil {
		return "", fmt.Errorf("merge %s into %s: %w", adapterDir, baseDir, err)
	}
	return sum, nil
}

// merging is a base model's weights on their way to being another's.
type merging struct {
	base    *safetensors.Dir
	tensors map[string]string // in base, by the parameters that they hold
	method  methods.Merger    // nil: what was trained stands in the place of what was
	inOut   bool              // linear maps are stored [in, out]
	trained map[string]safetensors.Tensor
	used    map[string]bool // keys of trained
	hash    hash.Hash
}

// merge puts what a job trained into its base model's weights: by the method's
// formula, or in the place of the base's own. A spec that does not say how the
// weights are stored stores them as the base does.
func merge(dir, baseDir string, spec job.Spec, trained []safetensors.Tensor, most int64) (sum string, err error) {
	if same(dir, baseDir) {
		return "", fmt.Errorf("%s is the base model's directory; name another one for the export", dir)
	}
	base, err := safetensors.OpenDir(baseDir)
	if err != nil {
		return "", err
	}
	defer func() { err = cmp.Or(err, base.Close()) }()
	m, infos, err := newMerging(base, baseDir, spec, trained)
	if err != nil {
		return "", err
	}
	spec.SaveDtype = wordOf(infos)
	config, err := fullConfig(baseDir, spec)
	if err != nil {
		return "", err
	}
	err = publish(dir, earlierModel, func(tmp string) error {
		if err := m.write(tmp, infos, most); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(tmp, configFile), config, 0o644); err != nil {
			return err
		}
		return copyFiles(tmp, baseDir)
	})
	return hex.EncodeToString(m.hash.Sum(nil)), err
}

// newMerging finds what becomes of each parameter, and lists what is to be written:
// the base's parameters and a head that it lacks.
func newMerging(base *safetensors.Dir, baseDir string, spec job.Spec, trained []safetensors.Tensor) (*merging, []safetensors.Info, error) {
	method, err := methods.New(spec)
	if err != nil {
		return nil, nil, err
	}
	m := &merging{base: base, tensors: map[string]string{}, trained: map[string]safetensors.Tensor{}, used: map[string]bool{}, hash: sha256.New()}
	var ok bool
	if m.method, ok = method.(methods.Merger); !ok && spec.Method != "full" && spec.Method != "bitfit" {
		return nil, nil, fmt.Errorf("what method %s trains is no part of the weights; keep the adapter beside the base model", spec.Method)
	}
	info, err := infoOf(spec, baseDir)
	if err != nil {
		return nil, nil, err
	}
	m.inOut = info.FanInFanOut
	for _, t := range trained {
		m.trained[t.Name] = t
	}
	infos, err := m.list(baseDir, dtypes[spec.SaveDtype], spec.SaveDtype == "")
	return m, infos, err
}

// list returns the tensors to write: in a type, or in the base's own.
func (m *merging) list(baseDir string, dtype safetensors.DType, own bool) (infos []safetensors.Info, err error) {
	config, err := os.ReadFile(filepath.Join(baseDir, configFile))
	if err != nil {
		return nil, err
	}
	_, f, err := family.Parse(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", baseDir, configFile, err)
	}
	for _, t := range m.base.Tensors() {
		if !t.DType.Float() || f.Tied(t.Name) != "" || f.Unused(t.Name) != "" {
			continue
		}
		name := f.Name(t.Name)
		m.tensors[name] = t.Name
		infos = append(infos, safetensors.Info{Name: name, Shape: t.Shape, DType: t.DType})
	}
	if len(infos) == 0 {
		return nil, fmt.Errorf("%s holds no parameter", baseDir)
	}
	for _, key := range slices.Sorted(maps.Keys(m.trained)) {
		name := strings.TrimPrefix(key, peftPrefix)
		head, _ := headAfter("", []safetensors.Tensor{{Name: name}})
		if m.tensors[name] == "" && len(head) > 0 {
			infos = append(infos, safetensors.Info{Name: name, Shape: m.trained[key].Shape, DType: infos[0].DType})
		}
	}
	for i := range infos {
		if !own {
			infos[i].DType = dtype
		}
	}
	return infos, nil
}

// wordOf is the recipe's word for the type of most numbers.
func wordOf(infos []safetensors.Info) string {
	sizes := map[safetensors.DType]int{}
	for _, t := range infos {
		sizes[t.DType] += t.Size()
	}
	most := "float32"
	for word, t := range dtypes {
		if word != "" && sizes[t] > sizes[dtypes[most]] {
			most = word
		}
	}
	return most
}

// value fills dst with a parameter's merged values.
func (m *merging) value(t safetensors.Info, dst []float32) error {
	if whole, ok := m.whole(t.Name); ok {
		if !slices.Equal(whole.Shape, t.Shape) {
			return fmt.Errorf("tensor %s has shape %v, and the base model's %s %v", whole.Name, whole.Shape, t.Name, t.Shape)
		}
		m.used[whole.Name] = true
		copy(dst, whole.Data)
	} else if err := m.base.Float32(m.tensors[t.Name], dst); err != nil {
		return err
	}
	if m.method == nil {
		return nil
	}
	inOut := m.inOut && !strings.HasPrefix(t.Name, "lm_head.")
	used, err := m.method.Merge(safetensors.Tensor{Name: t.Name, Shape: t.Shape, Data: dst}, inOut, m.trained)
	for _, key := range used {
		m.used[key] = true
	}
	return err
}

// whole is what stands in a parameter's place, if it was trained itself.
func (m *merging) whole(name string) (safetensors.Tensor, bool) {
	keys := []string{name, peftPrefix + name}
	if path, ok := strings.CutSuffix(name, ".bias"); ok {
		keys = append(keys, peftPrefix+path+".base_layer.bias")
	}
	for _, key := range keys {
		if t, ok := m.trained[key]; ok {
			return t, true
		}
	}
	return safetensors.Tensor{}, false
}

// write writes the weights files, and an index if there are several.
func (m *merging) write(dir string, infos []safetensors.Info, most int64) error {
	shards, total := cut(infos, most)
	lies := map[string]string{}
	for i, shard := range shards {
		name := safetensors.SingleFile
		if len(shards) > 1 {
			name = shardFile(i, len(shards))
		}
		if err := m.writeFile(filepath.Join(dir, name), shard); err != nil {
			return err
		}
		for _, t := range shard {
			lies[t.Name] = name
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.trained)) {
		if !m.used[key] {
			return fmt.Errorf("tensor %s is of no parameter of the base model", key)
		}
	}
	if len(shards) == 1 {
		return nil
	}
	return writeIndex(dir, lies, total)
}

func (m *merging) writeFile(path string, infos []safetensors.Info) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(io.MultiWriter(f, m.hash))
	err = cmp.Or(safetensors.WriteEach(w, infos, m.value), w.Flush())
	return cmp.Or(err, f.Close())
}

// cut puts tensors into files of at most so many bytes each, if they can be.
func cut(infos []safetensors.Info, most int64) (shards [][]safetensors.Info, total int64) {
	var size int64
	for _, t := range infos {
		bytes := t.Bytes()
		if total += bytes; len(shards) == 0 || size+bytes > most {
			shards, size = append(shards, nil), 0
		}
		size += bytes
		shards[len(shards)-1] = append(shards[len(shards)-1], t)
	}
	return shards, total
}
