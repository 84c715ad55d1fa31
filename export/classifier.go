package export

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"carillon/job"
	"carillon/safetensors"
	"carillon/tokenizer"
)

// The tasks that an adapter may have, in PEFT's words.
const (
	causalLM = "CAUSAL_LM"
	seqCls   = "SEQ_CLS" // classification and regression
)

// savedModules are the modules that PEFT saves whole beside a classifier's
// corrections, where a model has them.
var savedModules = []string{"classifier", "score"}

// isHead says whether a task's model ends in a head of its own.
func isHead(task string) bool { return task == job.SeqCls || task == job.Regression }

// checkHead says why tensors are not the head of a task's model.
func checkHead(task string, head []safetensors.Tensor) error {
	switch {
	case isHead(task) && len(head) == 0:
		return fmt.Errorf("the adapter of a classifier has no tensor of its head (%s%s.weight)", peftPrefix, savedModules[1])
	case !isHead(task) && len(head) > 0:
		return fmt.Errorf("tensor %q is of a classifier's head, and the adapter's task is another", head[0].Name)
	}
	for _, t := range head {
		if len(t.Shape) == 0 || t.Shape[0] < 1 {
			return fmt.Errorf("tensor %q has shape %v; want one row for each label", t.Name, t.Shape)
		}
	}
	return nil
}

// headTask is what a head of PEFT's tells: as transformers has it, one output is
// a regression's, and labels whose names nobody knows are numbered.
func headTask(head []safetensors.Tensor) (task string, labels []string, err error) {
	if err := checkHead(job.SeqCls, head); err != nil {
		return "", nil, err
	}
	n := lastLayer(head).Shape[0]
	if n == 1 {
		return job.Regression, nil, nil
	}
	for i := range n {
		labels = append(labels, fmt.Sprintf("LABEL_%d", i))
	}
	return job.SeqCls, labels, nil
}

// lastLayer returns a tensor of a head's last layer, which has a row for each output:
// RoBERTa's is classifier.out_proj, after classifier.dense, and DistilBERT's classifier,
// after pre_classifier.
func lastLayer(head []safetensors.Tensor) safetensors.Tensor {
	for _, module := range []string{"classifier.out_proj.", "classifier.", "score."} {
		for _, t := range head {
			if strings.HasPrefix(strings.TrimPrefix(t.Name, peftPrefix), module) {
				return t
			}
		}
	}
	return head[0]
}

// classes are what transformers' names of the families' classes begin with, by
// model_type.
var classes = map[string]string{
	"gpt2": "GPT2", "bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert",
	"t5": "T5", "llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3",
}

// describeMasked makes a base's configuration that of its model with a head for
// masked tokens.
func describeMasked(config map[string]json.RawMessage) error {
	class, err := classOf(config, "ForMaskedLM")
	if err != nil {
		return err
	}
	config["architectures"] = json.RawMessage(`["` + class + `"]`)
	return nil
}

// classOf names the class of a configuration's family for a purpose.
func classOf(config map[string]json.RawMessage, purpose string) (string, error) {
	var family string
	_ = json.Unmarshal(config["model_type"], &family) // not a text: no family
	class, ok := classes[family]
	if !ok {
		return "", fmt.Errorf("config.json: model_type is %s, of which no model %s is built", config["model_type"], purpose)
	}
	return class + purpose, nil
}

// describeHead makes a base's configuration that of its model with a head, as
// transformers reads it: architecture, labels by number and back, and the kind of
// loss.
func describeHead(config map[string]json.RawMessage, spec job.Spec) error {
	architecture, err := classOf(config, "ForSequenceClassification")
	if err != nil {
		return err
	}
	labels, problem := spec.Labels, "single_label_classification"
	if spec.TaskType == job.Regression {
		labels, problem = []string{"LABEL_0"}, "regression"
	}
	names, numbers := map[string]string{}, map[string]int{}
	for i, label := range labels {
		names[strconv.Itoa(i)], numbers[label] = label, i
	}
	for key, value := range map[string]any{
		"architectures": []string{architecture}, "id2label": names, "label2id": numbers, "problem_type": problem,
	} {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		config[key] = text
	}
	delete(config, "num_labels") // id2label says it
	return nil
}

// namePadding gives a classifier's configuration the id that rows are padded with,
// where the base has none: transformers looks for the last token before it. It is
// the tokenizer's, or else the end of text, which is what users of such models pad
// with.
func namePadding(config map[string]json.RawMessage, baseDir string) {
	if pad := string(config["pad_token_id"]); pad != "" && pad != "null" {
		return
	}
	if tok, err := tokenizer.Open(baseDir); err == nil { // a base without one has the other
		if id, ok := tok.PAD(); ok {
			config["pad_token_id"] = json.RawMessage(strconv.Itoa(int(id)))
			return
		}
	}
	if eos, ok := config["eos_token_id"]; ok {
		config["pad_token_id"] = eos
	}
}
