package model

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"carillon/backend"
	"carillon/job"
	"carillon/methods"
)

// Facts are what is known of a base model and a method without running either.
type Facts struct {
	Config
	Hash                [sha256.Size]byte // the base hash
	Width, Depth, Heads int
	Trainables          []Param // of the method, in flat order
	TrainableSize       int     // their elements
	Total               int     // elements of all parameters, trained or not, with what method and head add
	Lead                int     // positions of the context that the method takes
	Memory              Memory  // of a gradient
}

// EncoderDecoder reports whether the model in dir reads with one stack of layers
// and writes with another (is_encoder_decoder of its config.json), which decides
// what its data becomes before anything else is known.
func EncoderDecoder(dir string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return false, fmt.Errorf("base model %s: %w", dir, err)
	}
	var config struct {
		Is bool `json:"is_encoder_decoder"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return false, fmt.Errorf("base model %s: %w", dir, configError(err))
	}
	return config.Is, nil
}

// Suits returns an error if a resolved spec's task is none for its base model, by
// config.json alone. A model of a kind that is not known may be for any.
func Suits(spec job.Spec) error {
	data, err := os.ReadFile(filepath.Join(spec.BaseModel, "config.json"))
	if err == nil {
		if _, arch, unknown := parseConfig(data); unknown == nil {
			_, err = taskOf(spec, arch)
		}
	}
	if err != nil {
		return fmt.Errorf("base model %s: %w", spec.BaseModel, err)
	}
	return nil
}

// Inspect reads the facts of a spec's base model and method, and makes sure that
// its tensors fit its configuration. Weights are hashed; that they are numbers is
// found when they are loaded.
func Inspect(ctx context.Context, spec job.Spec) (Facts, error) {
	f, err := inspect(ctx, spec)
	if err != nil {
		return Facts{}, fmt.Errorf("base model %s: %w", spec.BaseModel, err)
	}
	return f, nil
}

// inspect takes a backend to build a graph at all; the Go one is always there, and
// nothing is run on it.
func inspect(ctx context.Context, spec job.Spec) (f Facts, err error) {
	be, err := backend.Open(ctx, backend.Options{Name: backend.Go})
	if err != nil {
		return f, err
	}
	defer be.Close()
	opts := Options{ReinitWeights: spec.ReinitWeights, Seed: spec.Seed}
	m, err := open(be.Compute(), spec.BaseModel, opts)
	if err != nil {
		return f, err
	}
	f.Config = m.config
	f.Width, f.Depth, f.Heads = m.arch.Dimensions()
	if err := f.declare(m, spec); err != nil {
		return f, err
	}
	f.Hash, err = HashDir(spec.BaseModel, opts)
	return f, err
}

// declare lists what a spec's method trains.
func (f *Facts) declare(m *Model, spec job.Spec) error {
	method, err := methods.New(spec)
	if err != nil {
		return err
	}
	task, err := taskOf(spec, m.arch)
	if err != nil {
		return err
	}
	f.Lead = task.lead(method)
	s := Session{model: m, method: method, task: task}
	decls, err := m.declare(method, task)
	if err != nil {
		return err
	}
	s.addParams(decls)
	f.Trainables, f.TrainableSize = s.params, s.size
	for _, d := range decls {
		f.Total += d.Size()
	}
	f.Memory, err = s.memory(spec, decls)
	return err
}
