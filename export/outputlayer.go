package export

import (
	"encoding/json"
	"fmt"

	"carillon/job"
	"carillon/safetensors"
)

// outputLayerType is the peft_type of an output layer that was trained alone. It is
// ours: PEFT has no such method, and says so when it is given one.
const outputLayerType = "CARILLON_OUTPUT_LAYER"

// outputLayerName is the one tensor of such a directory.
const outputLayerName = "lm_head.weight"

// outputLayerConfig is its adapter_config.json.
type outputLayerConfig struct {
	Base     string  `json:"base_model_name_or_path"`
	PEFTType string  `json:"peft_type"`
	TaskType *string `json:"task_type"`
}

// outputLayer makes dir the directory of what method feature trains for text: the
// output layer [vocabulary, width], as lm_head.weight.
func outputLayer(dir string, a AdapterInfo, tensors []safetensors.Tensor) (sum string, err error) {
	if err := checkOutputLayer(tensors); err != nil {
		return "", err
	}
	return a.writePEFT(dir, outputLayerConfig{a.Base, outputLayerType, taskWord(a.Spec.TaskType)}, tensors)
}

func checkOutputLayer(tensors []safetensors.Tensor) error {
	if len(tensors) != 1 || tensors[0].Name != outputLayerName || len(tensors[0].Shape) != 2 {
		return fmt.Errorf("%d tensors; want %s alone, [vocabulary, width]", len(tensors), outputLayerName)
	}
	return nil
}

// openOutputLayer reads such a directory.
func openOutputLayer(dir string, config []byte) (AdapterInfo, []safetensors.Tensor, error) {
	var c outputLayerConfig
	if err := json.Unmarshal(config, &c); err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	task, err := taskOf(c.TaskType)
	if err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	if task != job.CausalLM && task != job.Seq2SeqLM {
		described := "no task_type"
		if c.TaskType != nil {
			described = "task_type " + *c.TaskType
		}
		return AdapterInfo{}, nil, fmt.Errorf("%s: peft_type %s with %s; want task_type %s or %s", adapterConfigFile, outputLayerType, described, causalLM, seq2seqLM)
	}
	tensors, err := readPEFT(dir)
	if err != nil {
		return AdapterInfo{}, nil, err
	}
	spec := job.Spec{Method: "feature", BaseModel: c.Base, TaskType: task, Feature: &job.Feature{Pooling: "mean", Classifier: "logistic"}}
	return AdapterInfo{Base: c.Base, Spec: spec}, tensors, checkOutputLayer(tensors)
}
