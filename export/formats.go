package export

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"carillon/job"
	"carillon/safetensors"
)

// AdapterInfo is what an adapter's configuration is made from.
type AdapterInfo struct {
	Base        string                     // where the base model is: base_model_name_or_path
	BaseSHA256  string                     // its base hash in hex; "" where nobody knows it
	Spec        job.Spec                   // Method, its section and TaskType count; read back, also Labels, by number
	FanInFanOut bool                       // the targeted maps store W as [in, out], as GPT-2's do
	Model       map[string]json.RawMessage // the base's config.json; nil in what is read back
}

// format is how the adapters of a method lie in a directory.
type format func(dir string, a AdapterInfo, tensors []safetensors.Tensor) (sum string, err error)

// formats are those of each method.
var formats = map[string]format{
	"adapter": hubAdapter,
	"feature": outputLayer,
	"ia3":     scales,
	"lora":    lowRank,
	"prefix":  softAdapter,
	"prompt":  softAdapter,
}

// Adapter makes dir the directory of an adapter, as the library writes it whose
// format the method has: PEFT's, or AdapterHub's for bottlenecks, with all tensors
// that the method trained, the head of a classifier included. It returns the SHA-256
// of the weights file in hex. Adapters are float32.
func Adapter(dir string, a AdapterInfo, tensors []safetensors.Tensor) (sum string, err error) {
	write, ok := formats[a.Spec.Method]
	if !ok {
		return "", fmt.Errorf("method %q makes no adapter; %q do", a.Spec.Method, slices.Sorted(maps.Keys(formats)))
	}
	if sum, err = write(dir, a, tensors); err != nil {
		return "", fmt.Errorf("export adapter: %w", err)
	}
	return sum, nil
}

// infoOf is what a job's adapter says of itself. baseDir is the base model's directory.
func infoOf(spec job.Spec, baseDir string) (AdapterInfo, error) {
	config, err := readConfig(baseDir)
	if err != nil {
		return AdapterInfo{}, fmt.Errorf("base model: %w", err)
	}
	conv1D := string(config["model_type"]) == `"gpt2"` // the only one
	return AdapterInfo{Base: spec.BaseModel, Spec: spec, FanInFanOut: conv1D, Model: config}, nil
}

// readers read the directories of PEFT's adapters, by peft_type.
var readers = map[string]func(dir string, config []byte) (AdapterInfo, []safetensors.Tensor, error){
	outputLayerType: openOutputLayer,
	"IA3":           openScales,
	"LORA":          openLowRank,
	"PREFIX_TUNING": openSoft,
	"PROMPT_TUNING": openSoft,
}

// Open reads the directory of an adapter of PEFT's or AdapterHub's: its configuration
// and its tensors as float32, by the names that they are trained under. What such an
// adapter may have and is not built is an error that names the key.
func Open(dir string) (AdapterInfo, []safetensors.Tensor, error) {
	data, err := os.ReadFile(filepath.Join(dir, adapterConfigFile))
	if err != nil {
		return AdapterInfo{}, nil, err
	}
	info, tensors, err := openAs(dir, data)
	if err == nil {
		err = info.readNote(dir)
	}
	if err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", dir, err)
	}
	return info, tensors, nil
}

func openAs(dir string, config []byte) (AdapterInfo, []safetensors.Tensor, error) {
	var keys struct {
		PEFTType string          `json:"peft_type"`
		Config   json.RawMessage `json:"config"`
	}
	if err := json.Unmarshal(config, &keys); err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	if keys.PEFTType == "" && keys.Config != nil {
		return openHub(dir, config)
	}
	read, ok := readers[keys.PEFTType]
	if !ok {
		return AdapterInfo{}, nil, fmt.Errorf("%s: peft_type is %q; built are %q", adapterConfigFile, keys.PEFTType, slices.Sorted(maps.Keys(readers)))
	}
	return read(dir, config)
}

// writePEFT makes dir PEFT's directory of an adapter.
func (a AdapterInfo) writePEFT(dir string, config any, tensors []safetensors.Tensor) (sum string, err error) {
	text, err := sorted(config, nil)
	if err != nil {
		return "", err
	}
	err = publish(dir, earlierAdapter, func(tmp string) error {
		if sum, err = writeWeights(filepath.Join(tmp, adapterWeightsFile), safetensors.F32, tensors); err != nil {
			return err
		}
		return cmp.Or(os.WriteFile(filepath.Join(tmp, adapterConfigFile), text, 0o644), a.writeNote(tmp))
	})
	return sum, err
}

// sorted writes a configuration as the libraries do: by key, indented by two. others
// are keys that it does not have itself.
func sorted(config any, others map[string]any) ([]byte, error) {
	known, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	keys := map[string]any{}
	maps.Copy(keys, others)
	d := json.NewDecoder(bytes.NewReader(known))
	d.UseNumber() // 1.0 is not 1 to some readers
	if err := d.Decode(&keys); err != nil {
		return nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(keys); err != nil {
		return nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	return b.Bytes(), nil
}

// earlierAdapter says why dir is no adapter that Adapter made: other libraries write
// their versions into the configuration, and no end of line after it.
func earlierAdapter(dir string) error {
	if err := onlyFiles(dir, func(name string) bool { return slices.Contains(adapterFiles, name) }); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(dir, adapterConfigFile))
	if err != nil {
		return err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	if again, err := sorted(keys, nil); err != nil || !bytes.Equal(again, data) || keys["peft_version"] != nil {
		return fmt.Errorf("%s was not written by an export", adapterConfigFile)
	}
	return nil
}

// adapterFiles are the names of the files that an export makes.
var adapterFiles = []string{adapterConfigFile, adapterWeightsFile, hubWeightsFile, hubHeadConfigFile, hubHeadFile, noteFile}

// readWeights reads an adapter's weights file, or says how to get one from the pickle
// that stands in its place.
func readWeights(dir, name, pickle, how string) ([]safetensors.Tensor, error) {
	tensors, err := readTensors(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		if _, there := os.Stat(filepath.Join(dir, pickle)); there == nil {
			return nil, fmt.Errorf("there is no %s, and %s is a program that its reader runs, which is not done here; write it again with %s", name, pickle, how)
		}
	}
	return tensors, err
}
