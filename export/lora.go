package export

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"carillon/methods"
	"carillon/safetensors"
)

// The names that PEFT gives an adapter's files.
const (
	adapterConfigFile  = "adapter_config.json"
	adapterWeightsFile = "adapter_model.safetensors"
)

// peftPrefix begins the keys of what wraps the model.
const peftPrefix = "base_model.model."

// loraConfig is what a LoRA adapter says in adapter_config.json.
type loraConfig struct {
	AlphaPattern      map[string]float64 `json:"alpha_pattern"`
	AutoMapping       any                `json:"auto_mapping"`
	Base              string             `json:"base_model_name_or_path"`
	Bias              string             `json:"bias"`
	ExcludeModules    modules            `json:"exclude_modules"`
	FanInFanOut       bool               `json:"fan_in_fan_out"`
	InferenceMode     bool               `json:"inference_mode"`
	InitLoRAWeights   any                `json:"init_lora_weights"`
	LayersPattern     any                `json:"layers_pattern"`
	LayersToTransform layers             `json:"layers_to_transform"`
	LoRAAlpha         float64            `json:"lora_alpha"`
	LoRADropout       float64            `json:"lora_dropout"`
	ModulesToSave     []string           `json:"modules_to_save"`
	PEFTType          string             `json:"peft_type"`
	R                 int                `json:"r"`
	RankPattern       map[string]int     `json:"rank_pattern"`
	Revision          any                `json:"revision"`
	TargetModules     modules            `json:"target_modules"`
	TaskType          *string            `json:"task_type"`
	UseDoRA           bool               `json:"use_dora"`
	UseRSLoRA         bool               `json:"use_rslora"`
}

// defaults are the other keys that PEFT 0.21 writes, so that a directory of ours is
// like one of its own. Its version is left out: nothing of the sort made this.
var defaults = map[string]any{
	"alora_invocation_tokens": nil, "arrow_config": nil, "corda_config": nil, "ensure_weight_tying": false,
	"eva_config": nil, "kasa_config": nil, "layer_replication": nil,
	"loftq_config": map[string]any{}, "lora_bias": false, "lora_ga_config": nil, "megatron_config": nil,
	"megatron_core": "megatron.core", "monteclora_config": nil, "qalora_group_size": 16,
	"target_parameters": nil, "trainable_token_indices": nil, "use_bdlora": nil,
	"use_qalora": false, "velora_config": nil,
}

// MarshalJSON adds the other keys that PEFT writes.
func (c loraConfig) MarshalJSON() ([]byte, error) {
	type plain loraConfig
	return sorted(plain(c), defaults)
}

// modules is a list of names, or one regular expression, which PEFT writes as text.
type modules []string

// MarshalJSON writes an expression as text, and names in order.
func (m modules) MarshalJSON() ([]byte, error) {
	switch {
	case len(m) == 1 && methods.IsExpression(m[0]):
		return json.Marshal(m[0])
	case len(m) == 0:
		return []byte("null"), nil
	}
	return json.Marshal(slices.Compact(slices.Sorted(slices.Values(m))))
}

// UnmarshalJSON reads either. A text is an expression though it looks like a name.
func (m *modules) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil || string(data) == "null" {
		return json.Unmarshal(data, (*[]string)(m))
	}
	if text != methods.AllLinear && !methods.IsExpression(text) {
		text = "(?:" + text + ")"
	}
	*m = modules{text}
	return nil
}

// layers are numbers of layers, of which PEFT lets one stand alone.
type layers []int

// UnmarshalJSON reads one or several.
func (l *layers) UnmarshalJSON(data []byte) error {
	var one int
	if json.Unmarshal(data, &one) != nil || string(data) == "null" {
		return json.Unmarshal(data, (*[]int)(l))
	}
	*l = layers{one}
	return nil
}

// lowRank makes dir a PEFT directory of a LoRA adapter, whose tensors have PEFT's
// keys and shapes: what corrects a module, the biases and the modules that are
// trained beside it, and a classifier's head.
func lowRank(dir string, a AdapterInfo, tensors []safetensors.Tensor) (sum string, err error) {
	parts, err := a.corrections(tensors)
	if err != nil {
		return "", err
	}
	c := a.lora(slices.Sorted(maps.Keys(parts)))
	c.ModulesToSave = a.saved(a.Spec.LoRA.ModulesToSave, tensors)
	return a.writePEFT(dir, c, tensors)
}

// lora makes the configuration. All linear maps are named one by one, as PEFT does:
// which they are is another question in another model.
func (a AdapterInfo) lora(corrected []string) loraConfig {
	l := a.Spec.LoRA
	c := loraConfig{
		AlphaPattern: l.AlphaPattern, RankPattern: l.RankPattern,
		Base: a.Base, Bias: l.Bias, FanInFanOut: a.FanInFanOut, InferenceMode: true, InitLoRAWeights: true,
		ExcludeModules: l.ExcludeModules, LayersToTransform: l.LayersToTransform,
		LoRAAlpha: l.LoraAlpha, LoRADropout: l.LoraDropout, PEFTType: "LORA", R: l.R,
		TargetModules: l.TargetModules, TaskType: taskWord(a.Spec.TaskType), UseDoRA: l.UseDoRA, UseRSLoRA: l.UseRSLoRA,
	}
	if slices.Contains(l.TargetModules, methods.AllLinear) {
		c.TargetModules, c.ExcludeModules, c.LayersToTransform = corrected, nil, nil
	}
	if l.InitLoraWeights == "gaussian" {
		c.InitLoRAWeights = l.InitLoraWeights
	}
	if c.Bias == "" {
		c.Bias = "none"
	}
	if c.AlphaPattern == nil {
		c.AlphaPattern = map[string]float64{}
	}
	if c.RankPattern == nil {
		c.RankPattern = map[string]int{}
	}
	return c
}

// saved are the modules that are saved whole: of a classifier, PEFT adds its heads,
// and those whose names end as theirs do.
func (a AdapterInfo) saved(modules []string, tensors []safetensors.Tensor) []string {
	if !isHead(a.Spec.TaskType) {
		return modules
	}
	list := slices.DeleteFunc(slices.Clone(modules), func(m string) bool { return slices.Contains(savedModules, m) })
	head, _ := headAfter(peftPrefix, tensors)
	for _, t := range head {
		module, _, _ := strings.Cut(strings.TrimPrefix(t.Name, peftPrefix), ".")
		if !slices.Contains(list, module) && !slices.Contains(savedModules, module) {
			list = append(list, module)
		}
	}
	return append(list, savedModules...)
}

// corrections returns the tensors that correct each module, by the module's path and
// the end of the key. All that they need is there, in shapes that fit each other, and
// nothing is among the tensors that method lora would not train.
func (a AdapterInfo) corrections(tensors []safetensors.Tensor) (map[string]map[string]safetensors.Tensor, error) {
	method, err := methods.New(a.Spec)
	if err != nil {
		return nil, err
	}
	l, ok := method.(methods.LoRA)
	if !ok {
		return nil, fmt.Errorf("method %q makes no LoRA adapter", a.Spec.Method)
	}
	head, _ := headAfter(peftPrefix, tensors)
	if err := checkHead(a.Spec.TaskType, head); err != nil {
		return nil, err
	}
	parts := map[string]map[string]safetensors.Tensor{}
	for _, t := range tensors {
		path, end, ok := correction(t.Name)
		switch {
		case ok && parts[path] == nil:
			parts[path] = map[string]safetensors.Tensor{end: t}
		case ok:
			parts[path][end] = t
		case !trains(l, t.Name):
			return nil, fmt.Errorf("tensor %q is none of a LoRA adapter with bias %q and modules_to_save %q", t.Name, l.Bias, l.ModulesToSave)
		}
	}
	for path, have := range parts {
		if err := checkCorrection(l, path, have); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// ends are the ends of a correction's keys.
var ends = []string{"lora_A.weight", "lora_B.weight", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector"}

// correction cuts a key into a module's path and its end.
func correction(key string) (path, end string, ok bool) {
	path, ok = strings.CutPrefix(key, peftPrefix)
	if !ok {
		return "", "", false
	}
	for _, end := range ends {
		if path, ok := strings.CutSuffix(path, "."+end); ok {
			return path, end, true
		}
	}
	return "", "", false
}

// trains says whether a method trains the model's own parameter that has this key.
func trains(l methods.LoRA, key string) bool {
	name, ours := strings.CutPrefix(key, peftPrefix)
	if path, ok := strings.CutSuffix(name, ".base_layer.bias"); ok {
		again, ok := l.TrainsBias(path)
		return ours && ok && again == key
	}
	again, ok := l.Trains(name)
	return ours && ok && again == key
}

// checkCorrection says what is wrong with the tensors of a module.
func checkCorrection(l methods.LoRA, path string, have map[string]safetensors.Tensor) error {
	a, b := have["lora_A.weight"], have["lora_B.weight"]
	want := 2
	if have["lora_embedding_A"].Name != "" || have["lora_embedding_B"].Name != "" {
		a, b = have["lora_embedding_A"], have["lora_embedding_B"]
	} else if l.UseDoRA {
		want = 3
	}
	if a.Name == "" || b.Name == "" || len(have) != want || want == 3 && have["lora_magnitude_vector"].Name == "" {
		return fmt.Errorf("module %q has the tensors %q; want %d of %q", path, slices.Sorted(maps.Keys(have)), want, ends)
	}
	r := l.Rank(path)
	if len(a.Shape) != 2 || len(b.Shape) != 2 || a.Shape[0] != r || b.Shape[1] != r {
		return fmt.Errorf("tensors %q and %q have shapes %v and %v; want [r, in] and [out, r], with r = %d", a.Name, b.Name, a.Shape, b.Shape, r)
	}
	if m := have["lora_magnitude_vector"]; want == 3 && (len(m.Shape) != 1 || m.Shape[0] != b.Shape[0]) {
		return fmt.Errorf("tensor %q has shape %v; want [%d]", m.Name, m.Shape, b.Shape[0])
	}
	return nil
}
