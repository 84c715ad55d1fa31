package export

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/objstore"
	"carillon/safetensors"
)

// Result says what was exported.
type Result struct {
	SHA256 string // of the weights file, in hex: adapter_sha256
	Step   uint64 // steps done in the checkpoint
}

// FromStore exports the newest checkpoint of a job, or the best one where the job is
// to (load_best_model_at_end), into the directory out: a model
// directory for method full, an adapter's for others. baseDir is the base model's
// directory; "" is where the spec has it. The error is objstore.ErrNotExist if the
// job has saved nothing.
func FromStore(ctx context.Context, store objstore.Store, id job.ID, out, baseDir string) (Result, error) {
	m, state, err := checkpoint.Load(ctx, store, id)
	if err == nil && m.Verdict != nil && m.Verdict.Name != m.Name() && m.Verdict.Name != "" {
		m, state, err = checkpoint.Named(ctx, store, id, m.Verdict.Name)
	}
	if err != nil {
		return Result{}, err
	}
	sum, err := fromState(m, state, out, baseDir)
	if err != nil {
		return Result{}, fmt.Errorf("export job %s step %d to %s: %w", id, m.Step, out, err)
	}
	return Result{SHA256: sum, Step: m.Step}, nil
}

// fromState exports a checkpoint.
func fromState(m checkpoint.Manifest, state []byte, out, baseDir string) (sum string, err error) {
	var spec job.Spec
	if err := json.Unmarshal(m.Spec, &spec); err != nil {
		return "", fmt.Errorf("manifest: spec: %w", err)
	}
	tensors, err := tensorsOf(m, state)
	if err != nil {
		return "", err
	}
	if baseDir == "" {
		baseDir = spec.BaseModel
	}
	switch {
	case spec.Method == "bitfit":
		spec.SaveDtype = "" // stored as the base is
		return merge(out, baseDir, spec, tensors, shardSize)
	case spec.Method == "full" && spec.UnfrozenParameters != nil:
		return merge(out, baseDir, spec, tensors, shardSize)
	case spec.Method == "full":
		return Full(out, baseDir, spec, tensors)
	}
	info, err := infoOf(spec, baseDir)
	if err != nil {
		return "", err
	}
	info.BaseSHA256 = m.BaseHash
	return Adapter(out, info, tensors)
}

// MakesModel says whether an export of a job is a whole model, not an adapter.
func MakesModel(spec job.Spec) bool { return spec.Method == "full" || spec.Method == "bitfit" }

// tensorsOf cuts the trainables into the tensors that the manifest lists.
func tensorsOf(m checkpoint.Manifest, state []byte) ([]safetensors.Tensor, error) {
	if len(m.Params) == 0 {
		return nil, fmt.Errorf("manifest: it lists no tensors")
	}
	tensors := make([]safetensors.Tensor, len(m.Params))
	total := 0
	for i, p := range m.Params {
		tensors[i] = safetensors.Tensor{Name: p.Name, Shape: slices.Clone(p.Shape)}
		total += safetensors.Info{Shape: p.Shape}.Size()
	}
	flat := make([]float32, total)
	if err := checkpoint.DecodeWeights(state, flat); err != nil {
		return nil, err
	}
	for i, t := range tensors {
		n := safetensors.Info{Shape: t.Shape}.Size()
		tensors[i].Data, flat = flat[:n:n], flat[n:]
	}
	return tensors, nil
}
