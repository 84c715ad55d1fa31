package inspect

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/objstore"
	"carillon/objstore/dir"
)

// Job is what a run has saved of a job.
type Job struct {
	Job        job.ID `json:"job"`
	Step       uint64 `json:"step"` // of the newest checkpoint: steps done; 0 where nothing is saved
	Method     string `json:"method,omitempty"`
	Base       string `json:"base_model,omitempty"`
	Parameters int    `json:"parameters,omitempty"` // that are trained
	Identity   string `json:"identity,omitempty"`
	BaseSHA256 string `json:"base_sha256,omitempty"`
	DataSHA256 string `json:"data_sha256,omitempty"`
	Digest     string `json:"digest,omitempty"` // of the training state
}

// tellRun tells the jobs of an output directory, by what HEAD names of each.
func tellRun(ctx context.Context, r *Report) error {
	r.Kind = Run
	store, err := dir.Open(filepath.Join(r.Dir, "store"))
	if err != nil {
		return err
	}
	return store.List(ctx, "", func(key string) error {
		id, rest, _ := strings.Cut(key, "/")
		if rest != "HEAD" {
			return nil
		}
		j, err := newest(ctx, store, job.ID(id))
		r.Jobs = append(r.Jobs, j)
		return err
	})
}

func newest(ctx context.Context, store objstore.Store, id job.ID) (Job, error) {
	m, err := checkpoint.Latest(ctx, store, id)
	if errors.Is(err, objstore.ErrNotExist) {
		return Job{Job: id}, nil
	}
	if err != nil {
		return Job{Job: id}, err
	}
	j := Job{Job: id, Step: m.Step, Identity: m.Identity, BaseSHA256: m.BaseHash, DataSHA256: m.DataHash, Digest: m.Digest}
	for _, p := range m.Params {
		size := 1
		for _, d := range p.Shape {
			size *= d
		}
		j.Parameters += size
	}
	spec, err := job.DecodeSpec(m.Spec)
	j.Method, j.Base = spec.Method, spec.BaseModel
	return j, err
}
