package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"carillon/job"
	"carillon/safetensors"
)

// The names that PEFT gives an adapter's files.
const (
	adapterConfigFile  = "adapter_config.json"
	adapterWeightsFile = "adapter_model.safetensors"
)

// allLinear as a target means every linear map but the head.
const allLinear = "all-linear"

// adapterConfig is what an adapter says in adapter_config.json.
type adapterConfig struct {
	AlphaPattern      map[string]any `json:"alpha_pattern"`
	AutoMapping       any            `json:"auto_mapping"`
	Base              string         `json:"base_model_name_or_path"`
	Bias              string         `json:"bias"`
	FanInFanOut       bool           `json:"fan_in_fan_out"`
	InferenceMode     bool           `json:"inference_mode"`
	InitLoRAWeights   bool           `json:"init_lora_weights"`
	LayersPattern     any            `json:"layers_pattern"`
	LayersToTransform any            `json:"layers_to_transform"`
	LoRAAlpha         float64        `json:"lora_alpha"`
	LoRADropout       float64        `json:"lora_dropout"`
	ModulesToSave     []string       `json:"modules_to_save"`
	PEFTType          string         `json:"peft_type"`
	R                 int            `json:"r"`
	RankPattern       map[string]any `json:"rank_pattern"`
	Revision          any            `json:"revision"`
	TargetModules     []string       `json:"target_modules"`
	TaskType          string         `json:"task_type"`
}

// defaults are the other keys that PEFT 0.21 writes, so that a directory of ours is
// like one of its own. Its version is left out: nothing of the sort made this.
var defaults = map[string]any{
	"alora_invocation_tokens": nil, "arrow_config": nil, "corda_config": nil, "ensure_weight_tying": false,
	"eva_config": nil, "exclude_modules": nil, "kasa_config": nil, "layer_replication": nil,
	"loftq_config": map[string]any{}, "lora_bias": false, "lora_ga_config": nil, "megatron_config": nil,
	"megatron_core": "megatron.core", "monteclora_config": nil, "qalora_group_size": 16,
	"target_parameters": nil, "trainable_token_indices": nil, "use_bdlora": nil, "use_dora": false,
	"use_qalora": false, "use_rslora": false, "velora_config": nil,
}

// lowRank makes dir a PEFT directory of a LoRA adapter, whose tensors have PEFT's
// keys and shapes: <path>.lora_A.weight [R, in] and <path>.lora_B.weight [out, R],
// and for a classifier its head's, <path>.weight [labels, in].
func lowRank(dir string, a AdapterInfo, tensors []safetensors.Tensor) (sum string, err error) {
	if a.Spec.LoRA == nil {
		return "", fmt.Errorf("the job has no section lora")
	}
	modules, err := modulesOf(tensors, a.Spec)
	if err != nil {
		return "", err
	}
	return writePEFT(dir, a.config(modules), tensors)
}

// config makes the configuration. All linear maps are named one by one, as PEFT
// does: which they are is another question in another model.
func (a AdapterInfo) config(modules []string) adapterConfig {
	l := a.Spec.LoRA
	targets := slices.Sorted(slices.Values(l.TargetModules))
	if len(targets) == 0 || slices.Contains(targets, allLinear) {
		targets = modules
	}
	task, saved := causalLM, []string(nil)
	if isHead(a.Spec.TaskType) {
		task, saved = seqCls, savedModules
	}
	return adapterConfig{
		AlphaPattern: map[string]any{}, RankPattern: map[string]any{},
		Base: a.Base, Bias: "none", FanInFanOut: a.FanInFanOut, InferenceMode: true, InitLoRAWeights: true,
		LoRAAlpha: l.LoraAlpha, LoRADropout: l.LoraDropout, ModulesToSave: saved, PEFTType: "LORA", R: l.R,
		TargetModules: targets, TaskType: task,
	}
}

// MarshalJSON adds the other keys that PEFT writes.
func (c adapterConfig) MarshalJSON() ([]byte, error) {
	type plain adapterConfig
	return sorted(plain(c), defaults)
}

// The ends of an adapter's keys, and what they begin with.
const (
	peftPrefix = "base_model.model."
	endA       = ".lora_A.weight"
	endB       = ".lora_B.weight"
)

// modulesOf returns the paths of the modules that tensors correct. Each has both of
// its tensors, a classifier has its head, and nothing else is among them.
func modulesOf(tensors []safetensors.Tensor, spec job.Spec) ([]string, error) {
	head, tensors := splitHead(tensors)
	if err := checkHead(spec.TaskType, head); err != nil {
		return nil, err
	}
	halves, r := map[string]int{}, spec.LoRA.R
	for _, t := range tensors {
		path, isA := strings.CutSuffix(t.Name, endA)
		path, isB := strings.CutSuffix(path, endB)
		path, ok := strings.CutPrefix(path, peftPrefix)
		if !ok || isA == isB {
			return nil, fmt.Errorf("tensor %q: want %s<module>%s or %s", t.Name, peftPrefix, endA, endB)
		}
		if len(t.Shape) != 2 || (isA && t.Shape[0] != r) || (isB && t.Shape[1] != r) {
			return nil, fmt.Errorf("tensor %q has shape %v; want [r, in] for A and [out, r] for B, with r = %d", t.Name, t.Shape, r)
		}
		if isA {
			halves[path] |= 1
		} else {
			halves[path] |= 2
		}
	}
	for path, have := range halves {
		if have != 3 {
			return nil, fmt.Errorf("module %q has only one of its two tensors", path)
		}
	}
	return slices.Sorted(maps.Keys(halves)), nil
}
