package export

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"carillon/job"
	"carillon/methods"
	"carillon/safetensors"
)

// ia3Config is what an IA3 adapter says in adapter_config.json.
type ia3Config struct {
	AutoMapping    any      `json:"auto_mapping"`
	Base           string   `json:"base_model_name_or_path"`
	ExcludeModules modules  `json:"exclude_modules"`
	FanInFanOut    bool     `json:"fan_in_fan_out"`
	FeedForward    modules  `json:"feedforward_modules"`
	InferenceMode  bool     `json:"inference_mode"`
	Init           bool     `json:"init_ia3_weights"`
	ModulesToSave  []string `json:"modules_to_save"`
	PEFTType       string   `json:"peft_type"`
	Revision       any      `json:"revision"`
	TargetModules  modules  `json:"target_modules"`
	TaskType       *string  `json:"task_type"`
}

const endIA3 = ".ia3_l"

// scales makes dir a PEFT directory of an IA3 adapter: for each target a factor for
// each output, <path>.ia3_l [out, 1], or for each input, [1, in], and a classifier's
// head.
func scales(dir string, a AdapterInfo, tensors []safetensors.Tensor) (sum string, err error) {
	outputs, inputs, err := a.scaled(tensors)
	if err != nil {
		return "", err
	}
	c := ia3Config{
		Base: a.Base, FanInFanOut: a.FanInFanOut, InferenceMode: true, Init: true, PEFTType: "IA3",
		ModulesToSave: a.saved(nil, tensors), TaskType: taskWord(a.Spec.TaskType),
	}
	if s := a.Spec.IA3; s != nil && len(s.TargetModules) > 0 && s.TargetModules[0] != methods.AllLinear {
		c.TargetModules, c.FeedForward = s.TargetModules, s.FeedforwardModules
	} else {
		c.TargetModules, c.FeedForward = slices.Concat(outputs, inputs), inputs
	}
	return a.writePEFT(dir, c, tensors)
}

// scaled returns the paths of the modules whose outputs, and whose inputs, tensors
// scale; nothing else but a head is among the tensors.
func (a AdapterInfo) scaled(tensors []safetensors.Tensor) (outputs, inputs []string, err error) {
	head, rest := headAfter(peftPrefix, tensors)
	if err := checkHead(a.Spec.TaskType, head); err != nil {
		return nil, nil, err
	}
	for _, t := range rest {
		path, ok := strings.CutSuffix(strings.TrimPrefix(t.Name, peftPrefix), endIA3)
		switch {
		case !ok || !strings.HasPrefix(t.Name, peftPrefix):
			return nil, nil, fmt.Errorf("tensor %q is none of an IA3 adapter; want %s<module>%s", t.Name, peftPrefix, endIA3)
		case len(t.Shape) == 2 && t.Shape[1] == 1:
			outputs = append(outputs, path)
		case len(t.Shape) == 2 && t.Shape[0] == 1:
			inputs = append(inputs, path)
		default:
			return nil, nil, fmt.Errorf("tensor %q has shape %v; want [out, 1] or [1, in]", t.Name, t.Shape)
		}
	}
	return outputs, inputs, nil
}

// openScales reads a PEFT directory of an IA3 adapter.
func openScales(dir string, config []byte) (AdapterInfo, []safetensors.Tensor, error) {
	info, err := parseScales(config)
	if err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	tensors, err := readPEFT(dir)
	if err != nil {
		return AdapterInfo{}, nil, err
	}
	if err = info.nameLabels(tensors); err == nil {
		_, _, err = info.scaled(tensors)
	}
	if err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterWeightsFile, err)
	}
	return info, tensors, nil
}

// parseScales reads adapter_config.json of an IA3 adapter.
func parseScales(data []byte) (info AdapterInfo, err error) {
	var c ia3Config
	if err := json.Unmarshal(data, &c); err != nil {
		return info, err
	}
	task, err := taskOf(c.TaskType)
	if err != nil {
		return info, err
	}
	if extra := added(c.ModulesToSave, isHead(task)); len(c.ExcludeModules) > 0 || len(extra) > 0 {
		return info, fmt.Errorf("exclude_modules is %q and modules_to_save %q, which are not built for IA3", c.ExcludeModules, extra)
	}
	s := &job.IA3{TargetModules: c.TargetModules, FeedforwardModules: c.FeedForward}
	info = AdapterInfo{Base: c.Base, Spec: job.Spec{Method: "ia3", BaseModel: c.Base, IA3: s, TaskType: task}, FanInFanOut: c.FanInFanOut}
	_, err = methods.New(info.Spec)
	return info, err
}
