package model

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
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
	Lead                int     // positions of the context that the method takes
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
		return false, fmt.Errorf("base model %s: config.json: %w", dir, err)
	}
	return config.Is, nil
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

func inspect(ctx context.Context, spec job.Spec) (f Facts, err error) {
	data, err := os.ReadFile(filepath.Join(spec.BaseModel, "config.json"))
	if err != nil {
		return f, err
	}
	var arch architecture
	if f.Type, arch, err = parseConfig(data); err != nil {
		return f, fmt.Errorf("config.json: %w", err)
	}
	f.Vocab, f.Context = arch.Vocab(), arch.Context()
	f.Width, f.Depth, f.Heads = arch.Dimensions()
	if f.Hash, err = hashDir(spec.BaseModel, Options{ReinitWeights: spec.ReinitWeights, Seed: spec.Seed}); err != nil {
		return f, err
	}
	return f, f.declare(ctx, arch, spec)
}

// declare lists the parameters, and finds their tensors. It takes a backend to build a graph at all; the
// Go one is always there, and nothing is run on it.
func (f *Facts) declare(ctx context.Context, arch architecture, spec job.Spec) error {
	be, err := backend.Open(ctx, backend.Options{Name: backend.Go})
	if err != nil {
		return err
	}
	defer be.Close()
	method, err := methods.New(spec)
	if err != nil {
		return err
	}
	task, err := taskOf(spec, arch)
	if err != nil {
		return err
	}
	f.Lead = task.lead(method)
	decls, modules, err := declare(be.Compute(), arch, method, task)
	if err = errors.Join(err, checkMethod(method, decls, modules)); err != nil {
		return err
	}
	s := Session{method: method}
	s.addParams(decls)
	f.Trainables, f.TrainableSize = s.params, s.size
	base, _, err := declare(be.Compute(), arch, frozen{}, ownTask(arch))
	if err != nil {
		return err
	}
	for _, d := range base {
		f.Parameters += d.Size()
	}
	m := Model{arch: arch, base: base, dir: spec.BaseModel, options: Options{ReinitWeights: spec.ReinitWeights}}
	return m.match()
}
