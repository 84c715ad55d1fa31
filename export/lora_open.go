package export

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"carillon/job"
	"carillon/safetensors"
)

// openLowRank reads a PEFT directory of a LoRA adapter.
func openLowRank(dir string, config []byte) (AdapterInfo, []safetensors.Tensor, error) {
	info, err := parseLoRA(config)
	if err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	tensors, err := readPEFT(dir)
	if err != nil {
		return AdapterInfo{}, nil, err
	}
	err = info.nameLabels(tensors)
	if err == nil {
		_, err = info.corrections(tensors)
	}
	if err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterWeightsFile, err)
	}
	return info, tensors, nil
}

// nameLabels says what a classifier's head, if there is one, tells apart.
func (a *AdapterInfo) nameLabels(tensors []safetensors.Tensor) (err error) {
	if head, _ := headAfter(peftPrefix, tensors); len(head) > 0 && isHead(a.Spec.TaskType) {
		a.Spec.TaskType, a.Spec.Labels, err = headTask(head)
	}
	return err
}

// readPEFT reads the tensors of a PEFT directory.
func readPEFT(dir string) ([]safetensors.Tensor, error) {
	return readWeights(dir, adapterWeightsFile, "adapter_model.bin", "save_pretrained(dir, safe_serialization=True)")
}

// unbuilt are the keys of configurations that change what an adapter computes, in
// ways that are not built.
var unbuilt = []string{
	"alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication",
	"layers_pattern", "lora_bias", "monteclora_config", "target_parameters",
	"trainable_token_indices", "use_bdlora", "use_qalora", "velora_config",
}

// empty are the values that leave a key out.
var empty = map[string]bool{"": true, "null": true, "false": true, "{}": true, "[]": true, `""`: true}

// plainInit are the first values that a base model keeps its own weights beside; the
// others (pissa, olora, corda, …) change them, and so the adapter is of another base.
var plainInit = []string{"", "null", "true", "false", `"gaussian"`, `"orthogonal"`, `"eva"`}

// parseLoRA reads adapter_config.json of a LoRA adapter.
func parseLoRA(data []byte) (AdapterInfo, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return AdapterInfo{}, err
	}
	for _, key := range unbuilt {
		if v := string(keys[key]); !empty[v] {
			return AdapterInfo{}, fmt.Errorf("%s is %s, which is not built", key, v)
		}
	}
	if v := string(keys["init_lora_weights"]); !slices.Contains(plainInit, v) {
		return AdapterInfo{}, fmt.Errorf("init_lora_weights is %s, which changes the base model; convert the adapter with PEFT's path_initial_model_for_weight_conversion", v)
	}
	c := loraConfig{R: 8, LoRAAlpha: 8, Bias: "none"} // PEFT's defaults
	if err := json.Unmarshal(data, &c); err != nil {
		return AdapterInfo{}, err
	}
	return c.info()
}

// info is what the configuration says in our words.
func (c loraConfig) info() (AdapterInfo, error) {
	task, err := taskOf(c.TaskType)
	if err != nil {
		return AdapterInfo{}, err
	}
	if len(c.TargetModules) == 0 {
		return AdapterInfo{}, fmt.Errorf("target_modules is empty; want names of modules")
	}
	l := &job.LoRA{
		R: c.R, LoraAlpha: c.LoRAAlpha, LoraDropout: c.LoRADropout, Bias: c.Bias,
		TargetModules: c.TargetModules, ExcludeModules: c.ExcludeModules, LayersToTransform: c.LayersToTransform,
		RankPattern: kept(c.RankPattern), AlphaPattern: kept(c.AlphaPattern), UseDoRA: c.UseDoRA, UseRSLoRA: c.UseRSLoRA,
		ModulesToSave: added(c.ModulesToSave, isHead(task)),
	}
	return AdapterInfo{Base: c.Base, Spec: job.Spec{Method: "lora", BaseModel: c.Base, LoRA: l, TaskType: task}, FanInFanOut: c.FanInFanOut}, nil
}

// kept is a table, nil if nothing is in it.
func kept[T any](table map[string]T) map[string]T {
	if len(table) == 0 {
		return nil
	}
	return table
}

// added are the modules to save that PEFT does not name by itself: for classifiers
// it adds the heads, now and then twice, and those whose names end as theirs do.
func added(modules []string, classifier bool) (list []string) {
	for _, m := range modules {
		head := classifier && slices.ContainsFunc(savedModules, func(end string) bool { return strings.HasSuffix(m, end) })
		if !slices.Contains(list, m) && !head {
			list = append(list, m)
		}
	}
	return list
}

// subset says whether all of a are among b.
func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(x string) bool { return !slices.Contains(b, x) })
}
