package export

import (
	"encoding/json"
	"testing"

	"carillon/job"
	"carillon/safetensors"
)

// The number of labels is that of the head's last layer, whatever comes before it.
func TestLabelsAreCountedByTheLastLayer(t *testing.T) {
	for _, tt := range []struct {
		head []safetensors.Tensor
		task string
		n    int
	}{
		{[]safetensors.Tensor{{Name: "score.weight", Shape: []int{3, 32}}}, job.SeqCls, 3},
		{[]safetensors.Tensor{{Name: "classifier.bias", Shape: []int{3}}, {Name: "classifier.weight", Shape: []int{3, 32}}}, job.SeqCls, 3},
		{[]safetensors.Tensor{{Name: "classifier.dense.bias", Shape: []int{32}}, {Name: "classifier.out_proj.bias", Shape: []int{3}}}, job.SeqCls, 3},
		{[]safetensors.Tensor{{Name: "classifier.dense.bias", Shape: []int{32}}, {Name: "classifier.out_proj.bias", Shape: []int{1}}}, job.Regression, 0},
		{[]safetensors.Tensor{{Name: "pre_classifier.bias", Shape: []int{32}}, {Name: "classifier.bias", Shape: []int{3}}}, job.SeqCls, 3},
	} {
		for i := range tt.head {
			tt.head[i].Name = peftPrefix + tt.head[i].Name
		}
		if task, labels, err := headTask(tt.head); err != nil || task != tt.task || len(labels) != tt.n {
			t.Errorf("%v is %s with %d labels, want %s with %d", tt.head, task, len(labels), tt.task, tt.n)
		}
	}
}

// An encoder's configuration names the class that a task makes of it.
func TestAnEncoderBecomesWhatItWasTrainedFor(t *testing.T) {
	for _, tt := range []struct{ family, task, want string }{
		{"bert", job.MaskedLM, `["BertForMaskedLM"]`}, {"roberta", job.MaskedLM, `["RobertaForMaskedLM"]`},
		{"distilbert", job.Regression, `["DistilBertForSequenceClassification"]`},
	} {
		config := map[string]json.RawMessage{"model_type": json.RawMessage(`"` + tt.family + `"`)}
		describe := describeMasked
		if tt.task != job.MaskedLM {
			describe = func(config map[string]json.RawMessage) error {
				return describeHead(config, job.Spec{TaskType: tt.task})
			}
		}
		if err := describe(config); err != nil || string(config["architectures"]) != tt.want {
			t.Errorf("%s for %s is %s, want %s; %v", tt.family, tt.task, config["architectures"], tt.want, err)
		}
	}
}
