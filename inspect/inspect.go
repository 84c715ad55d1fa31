// Package inspect tells what a directory is: an adapter, a base model, a classifier
// that method feature has fitted, or what a run has left.
//
// # How
//
// Open goes by the files that each of them must have, and tells what they say: of
// what method, for which base, how many numbers in which tensors, and the hashes that
// jobs and exports are known by. Nothing is computed and nothing is written.
//
// # Failure
//
// A directory that is none of these is an error. One that is, but cannot be used
// here, is told as far as it goes, with the reason in Problem.
//
// # Who decides
//
// The packages that use such directories: what they refuse is a problem here.
package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"carillon/export"
	"carillon/safetensors"
)

// The kinds of directories.
const (
	Adapter    = "adapter"
	Model      = "model"
	Classifier = "classifier" // of method feature
	Run        = "run"
)

// Report is what is known of a directory. What does not apply is empty.
type Report struct {
	Dir  string `json:"dir"`
	Kind string `json:"kind"`

	// Of an adapter.
	Format string `json:"format,omitempty"` // whose layout: PEFT or AdapterHub
	Method string `json:"method,omitempty"`
	Base   string `json:"base_model,omitempty"` // where the adapter says that it is
	// Task and Labels are what a model or an adapter is for, as recipes say it.
	Task   string   `json:"task_type,omitempty"`
	Labels []string `json:"labels,omitempty"`
	// Section is the recipe's section of the adapter's method, or what a classifier
	// says of itself.
	Section json.RawMessage `json:"section,omitempty"`
	// InitSHA256 is the init_sha256 of a job that begins as the adapter.
	InitSHA256 string `json:"init_sha256,omitempty"`

	// Of a model.
	Family        string   `json:"model_type,omitempty"`
	Architectures []string `json:"architectures,omitempty"`
	Width         int      `json:"width,omitempty"`
	Depth         int      `json:"layers,omitempty"`
	Heads         int      `json:"heads,omitempty"`
	Context       int      `json:"context,omitempty"` // longest sequence, in tokens
	Vocab         int      `json:"vocab_size,omitempty"`
	Tokens        int      `json:"tokenizer_tokens,omitempty"`
	ChatTemplate  bool     `json:"chat_template,omitempty"`
	BaseSHA256    string   `json:"base_sha256,omitempty"` // by which jobs know a base

	// Of all that have weights.
	Parameters int      `json:"parameters,omitempty"` // numbers; what a model has twice counts once
	Bytes      int64    `json:"bytes,omitempty"`
	SHA256     string   `json:"sha256,omitempty"` // of the weights files: adapter_sha256 of an export
	Tensors    []Tensor `json:"tensors,omitempty"`

	Jobs []Job `json:"jobs,omitempty"` // of a run

	// Problem is why the directory cannot be used here.
	Problem string `json:"problem,omitempty"`
}

// Tensor is one of the weights, as it is stored.
type Tensor struct {
	Name  string `json:"name"`
	Type  string `json:"dtype"`
	Shape []int  `json:"shape"`
}

// Open tells what a directory is.
func Open(ctx context.Context, dir string) (Report, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return Report{}, err
	case !info.IsDir():
		return Report{}, fmt.Errorf("%s is a file; want a directory", dir)
	}
	for _, known := range []struct {
		file string
		tell func(context.Context, *Report) error
	}{
		{"adapter_config.json", tellAdapter}, {"feature.json", tellClassifier}, {"config.json", tellModel}, {"store", tellRun},
	} {
		r := Report{Dir: dir}
		if !r.has(known.file) {
			continue
		}
		if err := known.tell(ctx, &r); err != nil {
			return r, fmt.Errorf("%s: %w", dir, err)
		}
		return r, nil
	}
	return Report{}, fmt.Errorf("%s is neither an adapter (adapter_config.json), a model (config.json), a classifier (feature.json) nor a run (store)", dir)
}

// weights tells the tensors of the directory's weights files, and their hash.
func (r *Report) weights() error {
	files, err := filepath.Glob(filepath.Join(r.Dir, "*.safetensors"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := r.file(file); err != nil {
			return err
		}
	}
	if len(files) > 0 {
		r.SHA256, err = export.Sum(r.Dir)
	}
	return err
}

func (r *Report) file(path string) (err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, t := range f.Tensors() {
		r.Tensors = append(r.Tensors, Tensor{t.Name, string(t.DType), t.Shape})
		r.Parameters += t.Size()
		r.Bytes += t.Bytes()
	}
	return nil
}

// problem notes why a directory cannot be used: the first reason counts.
func (r *Report) problem(err error) {
	if err != nil && r.Problem == "" {
		r.Problem = err.Error()
	}
}
