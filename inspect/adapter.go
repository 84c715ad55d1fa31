package inspect

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"carillon/export"
)

// tellAdapter tells what an adapter is, and what of it can be read where it is none that
// is built.
func tellAdapter(_ context.Context, r *Report) error {
	r.Kind = Adapter
	r.problem(r.weights())
	data, err := os.ReadFile(filepath.Join(r.Dir, "adapter_config.json"))
	if err != nil {
		return err
	}
	var keys struct {
		PEFT string `json:"peft_type"`
		Base string `json:"base_model_name_or_path"`
		Hub  string `json:"model_name"`
	}
	r.problem(json.Unmarshal(data, &keys))
	if r.Format, r.Base = "PEFT", keys.Base; keys.PEFT == "" {
		r.Format, r.Base = "AdapterHub", keys.Hub
	}
	info, tensors, err := export.Open(r.Dir)
	if err != nil {
		r.Method = keys.PEFT
		r.problem(err)
		return nil
	}
	r.Method, r.Task, r.Labels, r.BaseSHA256 = info.Spec.Method, info.Spec.TaskType, info.Spec.Labels, info.BaseSHA256
	if _, r.InitSHA256, err = export.File(tensors); err != nil {
		return err
	}
	r.Section, err = info.Spec.Section()
	return err
}

// tellClassifier tells what method feature has fitted.
func tellClassifier(_ context.Context, r *Report) error {
	r.Kind, r.Method = Classifier, "feature"
	r.problem(r.weights())
	data, err := os.ReadFile(filepath.Join(r.Dir, "feature.json"))
	if err != nil {
		return err
	}
	var keys struct {
		Base     string   `json:"base_model"`
		BaseHash string   `json:"base_sha256"`
		Labels   []string `json:"labels"`
	}
	r.problem(json.Unmarshal(data, &keys))
	r.Base, r.BaseSHA256, r.Labels = keys.Base, keys.BaseHash, keys.Labels
	if json.Valid(data) {
		r.Section = data
	}
	return nil
}
