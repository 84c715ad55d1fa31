package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"carillon/job"
	"carillon/safetensors"
)

// openHub reads an AdapterHub directory of bottlenecks, and a classifier's head where
// there is one. A language model's head beside it is the base's own, which nothing
// trains, and is not read.
func openHub(dir string, config []byte) (AdapterInfo, []safetensors.Tensor, error) {
	c, info, err := parseHub(config)
	if err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	tensors, err := readWeights(dir, hubWeightsFile, "pytorch_adapter.bin", "save_adapter(dir, name, use_safetensors=True)")
	if err != nil {
		return AdapterInfo{}, nil, err
	}
	if tensors, err = renamed(tensors, c); err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", hubWeightsFile, err)
	}
	head, err := openHubHead(dir, &info.Spec)
	if err != nil {
		return AdapterInfo{}, nil, err
	}
	return info, append(tensors, head...), nil
}

// parseHub reads adapter_config.json of AdapterHub's.
func parseHub(data []byte) (c hubConfig, info AdapterInfo, err error) {
	c.Config = &bottleneckConfig{OriginalLNAfter: true, ResidualBeforeLN: true, Scaling: scaling{number: 1}} // the library's defaults
	if err := json.Unmarshal(data, &c); err != nil {
		return c, info, err
	}
	if c.Config == nil || c.Name == nil || *c.Name == "" {
		return c, info, fmt.Errorf("config or name is missing")
	}
	if err := knownBottleneck(data); err != nil {
		return c, info, err
	}
	b, err := c.Config.recipe()
	if err != nil {
		return c, info, fmt.Errorf("config: %w", err)
	}
	spec := job.Spec{BaseModel: c.ModelName, Method: "adapter", Bottleneck: b, TaskType: taskOfClass(c.ModelClass)}
	return c, AdapterInfo{Base: c.ModelName, Spec: spec}, nil
}

// knownBottleneck refuses keys that may say what nobody here understands.
func knownBottleneck(data []byte) error {
	var c struct{ Config map[string]json.RawMessage }
	var known map[string]any
	ours, err := json.Marshal(bottleneckConfig{})
	if err = errors.Join(err, json.Unmarshal(ours, &known), json.Unmarshal(data, &c)); err != nil {
		return err
	}
	for key, value := range c.Config {
		if _, ok := known[key]; !ok && !empty[string(value)] && key != "architecture" {
			return fmt.Errorf("config: %s is %s, which is not known", key, value)
		}
	}
	return nil
}

// taskOfClass is what a model of transformers' class is for; a classifier's head says
// it for itself.
func taskOfClass(class string) string {
	for end, task := range map[string]string{
		"LMHeadModel": job.CausalLM, "ForCausalLM": job.CausalLM, "ForConditionalGeneration": job.Seq2SeqLM, "ForMaskedLM": job.MaskedLM,
	} {
		if strings.HasSuffix(class, end) {
			return task
		}
	}
	return ""
}

// roots are what parameters of the families' models begin with; the same models
// without a head leave it out, and AdapterHub's own classes of T5 add one.
var roots = map[string]string{
	"gpt2": "transformer.", "bert": "bert.", "roberta": "roberta.", "distilbert": "distilbert.", "t5": "",
	"llama": "model.", "mistral": "model.", "qwen2": "model.", "qwen3": "model.",
}

// renamed gives bottlenecks the names that ours are trained under. The norm before a
// bottleneck has two names in AdapterHub's files; we know it by one.
func renamed(tensors []safetensors.Tensor, c hubConfig) (out []safetensors.Tensor, err error) {
	root, ok := roots[c.ModelType]
	if !ok {
		return nil, fmt.Errorf("model_type is %q; built are %q", c.ModelType, slices.Sorted(maps.Keys(roots)))
	}
	part := ".adapters." + *c.Name + "."
	for _, t := range tensors {
		place, rest, ok := strings.Cut(t.Name, part)
		if !ok {
			return nil, fmt.Errorf("tensor %q is no part of adapter %s", t.Name, *c.Name)
		}
		if c.Config.LNBefore && strings.HasPrefix(rest, "adapter_down.0.") {
			continue
		}
		if root == "" {
			place = strings.TrimPrefix(place, "transformer.")
		}
		t.Name = root + strings.TrimPrefix(place, root) + ".adapters." + hubName + "." + rest
		out = append(out, t)
	}
	return out, nil
}

// openHubHead reads a classifier's head and what its outputs mean.
func openHubHead(dir string, spec *job.Spec) ([]safetensors.Tensor, error) {
	data, err := os.ReadFile(filepath.Join(dir, hubHeadConfigFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	numbers, err := parseHubHead(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", hubHeadConfigFile, err)
	}
	tensors, err := readWeights(dir, hubHeadFile, "pytorch_model_head.bin", "save_adapter(dir, name, use_safetensors=True)")
	if err != nil {
		return nil, err
	}
	head, _ := headAfter("", tensors)
	if len(head) == 0 {
		return nil, nil
	}
	if spec.TaskType, spec.Labels, err = headTask(head); err != nil {
		return nil, fmt.Errorf("%s: %w", hubHeadFile, err)
	}
	nameLabels(spec.Labels, numbers)
	return head, nil
}

// parseHubHead reads head_config.json: the numbers of the labels.
func parseHubHead(data []byte) (map[string]int, error) {
	var c struct {
		Config json.RawMessage `json:"config"`
		Labels map[string]int  `json:"label2id"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	if !empty[string(c.Config)] {
		return nil, fmt.Errorf("a head of AdapterHub's own, with layers by config, is not built; that of a ...ForSequenceClassification model is")
	}
	return c.Labels, nil
}

// nameLabels gives labels the names that label2id has for their numbers, if it has
// one for each.
func nameLabels(labels []string, numbers map[string]int) {
	if len(numbers) != len(labels) {
		return
	}
	for name, i := range numbers {
		if i >= 0 && i < len(labels) {
			labels[i] = name
		}
	}
}
