package export

import (
	"encoding/json"
	"fmt"
	"slices"

	"carillon/job"
	"carillon/safetensors"
)

// openLowRank reads a PEFT directory of a LoRA adapter.
func openLowRank(dir string, config []byte) (AdapterInfo, []safetensors.Tensor, error) {
	info, err := parseConfig(config)
	if err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	tensors, err := readPEFT(dir)
	if err != nil {
		return AdapterInfo{}, nil, err
	}
	if _, err := modulesOf(tensors, info.Spec); err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterWeightsFile, err)
	}
	if head, _ := splitHead(tensors); len(head) > 0 {
		info.Spec.TaskType, info.Spec.Labels = headTask(head)
	}
	return info, tensors, nil
}

// readPEFT reads the tensors of a PEFT directory.
func readPEFT(dir string) ([]safetensors.Tensor, error) {
	return readWeights(dir, adapterWeightsFile, "adapter_model.bin", "save_pretrained(dir, safe_serialization=True)")
}

// unbuilt are the keys of configurations that change what an adapter computes, in
// ways that are not built.
var unbuilt = []string{
	"alora_invocation_tokens", "alpha_pattern", "arrow_config", "exclude_modules", "kasa_config", "layer_replication",
	"layers_pattern", "layers_to_transform", "lora_bias", "monteclora_config", "rank_pattern", "target_parameters",
	"trainable_token_indices", "use_bdlora", "use_dora", "use_qalora", "use_rslora", "velora_config",
}

// empty are the values that leave a key out.
var empty = map[string]bool{"": true, "null": true, "false": true, "{}": true, "[]": true, `""`: true}

// parseConfig reads adapter_config.json.
func parseConfig(data []byte) (AdapterInfo, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return AdapterInfo{}, err
	}
	if t := string(keys["peft_type"]); t != `"LORA"` {
		return AdapterInfo{}, fmt.Errorf("peft_type is %s; only LORA is built", t)
	}
	for _, key := range unbuilt {
		if v := string(keys[key]); !empty[v] {
			return AdapterInfo{}, fmt.Errorf("%s is %s, which is not built", key, v)
		}
	}
	c := adapterConfig{R: 8, LoRAAlpha: 8, Bias: "none"} // PEFT's defaults
	if err := json.Unmarshal(data, &c); err != nil {
		return AdapterInfo{}, err
	}
	return c.info()
}

// info is what the configuration says in our words.
func (c adapterConfig) info() (AdapterInfo, error) {
	switch {
	case c.Bias != "none":
		return AdapterInfo{}, fmt.Errorf("bias is %q; only none is built", c.Bias)
	case c.R < 1 || !(c.LoRAAlpha > 0):
		return AdapterInfo{}, fmt.Errorf("r is %d and lora_alpha %v; both must be above 0", c.R, c.LoRAAlpha)
	case len(c.TargetModules) == 0:
		return AdapterInfo{}, fmt.Errorf("target_modules is empty; want a list of names")
	case len(c.ModulesToSave) > 0 && (c.TaskType != seqCls || !subset(c.ModulesToSave, savedModules)):
		return AdapterInfo{}, fmt.Errorf("modules_to_save is %q with task_type %s, which is not built; a classifier's head is", c.ModulesToSave, c.TaskType)
	}
	task := job.CausalLM
	if c.TaskType == seqCls {
		task = job.SeqCls
	}
	l := &job.LoRA{R: c.R, LoraAlpha: c.LoRAAlpha, LoraDropout: c.LoRADropout, TargetModules: c.TargetModules, Bias: c.Bias}
	return AdapterInfo{Base: c.Base, Spec: job.Spec{Method: "lora", BaseModel: c.Base, LoRA: l, TaskType: task}, FanInFanOut: c.FanInFanOut}, nil
}

// subset says whether all of a are among b.
func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(x string) bool { return !slices.Contains(b, x) })
}

// readTensors reads all tensors of a file.
func readTensors(path string) ([]safetensors.Tensor, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var tensors []safetensors.Tensor
	for _, t := range f.Tensors() {
		data := make([]float32, t.Size())
		if err := f.Float32(t.Name, data); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		tensors = append(tensors, safetensors.Tensor{Name: t.Name, Shape: t.Shape, Data: data})
	}
	return tensors, nil
}
