package export

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"carillon/job"
	"carillon/safetensors"
)

const configFile = "config.json"

// copied are the files of a base model that an export has too, where they exist.
var copied = []string{
	"added_tokens.json", "chat_template.jinja", "generation_config.json", "merges.txt",
	"special_tokens_map.json", "spiece.model", "tokenizer.json", "tokenizer.model",
	"tokenizer_config.json", "vocab.json", "vocab.txt",
}

// exportedBy marks a config.json as ours. Hugging Face keeps it, but adds its own
// version when it saves a model; then the directory is no longer ours.
const exportedBy, us = "exported_by", "carillon"

// Full makes dir a Hugging Face model directory: the base's configuration and
// tokenizer, with what the spec's task changes in it, and the tensors by their
// names, stored as the spec's SaveDtype (float32, float16 or bfloat16; "" is
// float32) in files of at most 5 GB. It returns the SHA-256 of the weights in hex.
func Full(dir, baseDir string, spec job.Spec, tensors []safetensors.Tensor) (sum string, err error) {
	return full(dir, baseDir, spec, tensors, shardSize)
}

func full(dir, baseDir string, spec job.Spec, tensors []safetensors.Tensor, most int64) (sum string, err error) {
	stored, ok := dtypes[spec.SaveDtype]
	if !ok {
		return "", fmt.Errorf("save_dtype is %q; want float32, float16 or bfloat16", spec.SaveDtype)
	}
	config, err := fullConfig(baseDir, spec)
	if err != nil {
		return "", err
	}
	if same(dir, baseDir) {
		return "", fmt.Errorf("%s is the base model's directory; name another one for the export", dir)
	}
	err = publish(dir, earlierModel, func(tmp string) error {
		if sum, err = writeModel(tmp, stored, tensors, most); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(tmp, configFile), config, 0o644); err != nil {
			return err
		}
		return copyFiles(tmp, baseDir)
	})
	return sum, err
}

// writeModel writes the weights of a model: one file, or several of at most so many
// bytes each and an index.
func writeModel(dir string, stored safetensors.DType, tensors []safetensors.Tensor, most int64) (sum string, err error) {
	tensors = slices.SortedFunc(slices.Values(tensors), func(a, b safetensors.Tensor) int { return cmp.Compare(a.Name, b.Name) })
	var infos []safetensors.Info
	for _, t := range tensors {
		infos = append(infos, safetensors.Info{Name: t.Name, Shape: t.Shape, DType: stored})
	}
	shards, total := cut(infos, most)
	if len(shards) < 2 {
		return writeWeights(filepath.Join(dir, safetensors.SingleFile), stored, tensors)
	}
	lies := map[string]string{}
	for i, shard := range shards {
		name := shardFile(i, len(shards))
		for _, t := range shard {
			lies[t.Name] = name
		}
		if _, err := writeWeights(filepath.Join(dir, name), stored, tensors[:len(shard)]); err != nil {
			return "", err
		}
		tensors = tensors[len(shard):]
	}
	if err := writeIndex(dir, lies, total); err != nil {
		return "", err
	}
	return Sum(dir)
}

// shardFile is Hugging Face's name of the i-th of n weights files.
func shardFile(i, n int) string { return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n) }

// writeIndex writes which file each tensor lies in, and their bytes in all.
func writeIndex(dir string, lies map[string]string, total int64) error {
	index, err := json.MarshalIndent(map[string]any{"metadata": map[string]any{"total_size": total}, "weight_map": lies}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, safetensors.IndexFile), append(index, '\n'), 0o644)
}

// same says whether two paths are one directory.
func same(a, b string) bool {
	x, xerr := os.Stat(a)
	y, yerr := os.Stat(b)
	return xerr == nil && yerr == nil && os.SameFile(x, y)
}

// readConfig reads config.json with every value as it is written there.
func readConfig(dir string) (map[string]json.RawMessage, error) {
	path := filepath.Join(dir, configFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(data, &config); err != nil || config == nil {
		return nil, errors.Join(fmt.Errorf("%s is no JSON object", path), err)
	}
	return config, nil
}

// fullConfig is the base's configuration with the type of the weights in it, and
// what a head needs.
func fullConfig(baseDir string, spec job.Spec) ([]byte, error) {
	config, err := readConfig(baseDir)
	if err != nil {
		return nil, fmt.Errorf("base model: %w", err)
	}
	if isHead(spec.TaskType) {
		if err := describeHead(config, spec); err != nil {
			return nil, err
		}
		namePadding(config, baseDir)
	}
	if spec.TaskType == job.MaskedLM {
		if err := describeMasked(config); err != nil {
			return nil, err
		}
	}
	word, err := json.Marshal(cmp.Or(spec.SaveDtype, "float32"))
	if err != nil {
		return nil, err
	}
	config["torch_dtype"] = word
	if _, ok := config["dtype"]; ok { // the newer spelling, which would win
		config["dtype"] = word
	}
	config[exportedBy] = json.RawMessage(`"` + us + `"`)
	delete(config, "transformers_version") // that of who saved the base
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(config)
	return b.Bytes(), err
}

func copyFiles(dir, baseDir string) error {
	for _, name := range copied {
		err := copyFile(filepath.Join(dir, name), filepath.Join(baseDir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("copy %s of the base model: %w", name, err)
		}
	}
	return nil
}

func copyFile(to, from string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

var shardName = regexp.MustCompile(`^model-\d{5}-of-\d{5}\.safetensors$`)

// earlierModel says why dir is no model that Full made.
func earlierModel(dir string) error {
	known := func(name string) bool {
		return name == configFile || name == safetensors.SingleFile || name == safetensors.IndexFile || shardName.MatchString(name) || slices.Contains(copied, name)
	}
	if err := onlyFiles(dir, known); err != nil {
		return err
	}
	config, err := readConfig(dir)
	if err != nil {
		return err
	}
	if _, theirs := config["transformers_version"]; theirs || string(config[exportedBy]) != `"`+us+`"` {
		return fmt.Errorf("%s was not written by an export", configFile)
	}
	return nil
}
