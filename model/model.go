// Package model loads a language model from a Hugging Face directory and runs it:
// loss and gradient of what a method trains, the next token's logits, texts that go
// on with others or answer them, a classifier's or a regression's outputs.
//
// # How
//
// A Model is a directory and the buffers of its frozen parameters on the device.
// A Session is a model with a method in it, for one task: Upload sets the trainable
// parameters, Gradient runs the compiled program of one shape on one batch. Everything beyond
// this package sees flat []float32 vectors, names and shapes; the flat vector holds
// the trainables in the bytewise order of their names, each as in its file.
//
// Frozen parameters go to the device once. A step moves the trainables there and
// their gradient back, nothing else. Programs are compiled for each shape (seconds
// on XLA): Warm does it beforehand.
//
// Of a text that is being written no token is computed twice: the keys and values of
// those that are there stay on the device. One program reads the prompts, another a
// token of each text at a time.
//
// # Same bits
//
// The same input gives the same bits, in every process, on one kind of backend.
// The shape of the batch is part of the input: a row gives other bits beside
// other rows or in another padding.
//
// # Failure
//
// A directory that does not fit its configuration, tensor by tensor, is refused
// with all the names. What GoMLX throws while a graph is built comes out as an
// error. A non-finite loss or gradient is a result, not an error: who adds up the
// lanes decides about it. No method retries anything.
package model

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/gomlx/compute"

	"carillon/backend"
	"carillon/model/nn"
)

// Options change how a directory is loaded. The zero value loads it as it is.
type Options struct {
	// ReinitWeights ignores the weights in the directory (which may be missing)
	// and draws them from Seed, as Hugging Face initialises a new model.
	ReinitWeights bool
	Seed          uint64
	// Share is a folder where the processes of this machine keep what is not trained in
	// a file that all of them map, so that it is in memory once. It is taken where the
	// engine can compute with memory that is there, as XLA does on the CPU; elsewhere,
	// with "", and where the folder has no room, each has its own copy.
	Share string
}

// Config is what the rest of the system may know about a model.
type Config struct {
	Type       string // Hugging Face's model_type
	Vocab      int    // number of tokens
	Context    int    // longest sequence, in tokens
	Parameters int    // number of elements of all parameters, tied ones once
}

// Model is a base model. It is safe for concurrent use.
type Model struct {
	compute compute.Backend
	kind    string           // of backend
	engine  *backend.Backend // that compute is of; nil in some tests
	config  Config
	arch    architecture
	options Options
	hash    [sha256.Size]byte
	base    []nn.Decl // the parameters that it has
	dir     string
	tensors map[string]string // parameter -> tensor in dir's files; nil with ReinitWeights

	mu       sync.Mutex               // guards the fields below
	buffers  map[place]compute.Buffer // frozen parameters on the device
	shared   *shared                  // where they lie, if they are shared
	unshared error                    // why they are not, though they should be
}

// Load opens the Hugging Face directory dir: config.json and safetensors files.
// Every tensor must be a parameter of the model or of one of its family's heads, a
// copy of one, or known to be none; and every parameter of the model and its own
// head must be there in its shape. If not, the error names all that are not.
// Values are read, and found to be numbers, when a Session first needs them.
func Load(be *backend.Backend, dir string, opts Options) (*Model, error) {
	m, err := load(be.Compute(), dir, opts)
	if err != nil {
		return nil, fmt.Errorf("base model %s: %w", dir, err)
	}
	m.kind, m.engine = be.Kind(), be
	return m, nil
}

func load(be compute.Backend, dir string, opts Options) (*Model, error) {
	m, err := open(be, dir, opts)
	if err != nil {
		return nil, err
	}
	m.hash, err = HashDir(dir, opts)
	return m, err
}

// open reads the configuration and finds the tensors.
func open(be compute.Backend, dir string, opts Options) (*Model, error) {
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	m := &Model{compute: be, dir: dir, options: opts, buffers: map[place]compute.Buffer{}}
	if m.config.Type, m.arch, err = parseConfig(data); err != nil {
		return nil, configError(err)
	}
	p, err := partsOf(be, m.arch)
	if err != nil {
		return nil, err
	}
	if err := m.match(p); err != nil {
		return nil, err
	}
	m.config.Vocab, m.config.Context = m.arch.Vocab(), m.arch.Context()
	for _, d := range m.base {
		m.config.Parameters += d.Size()
	}
	return m, nil
}

// Config returns the facts about the model that others need.
func (m *Model) Config() Config { return m.config }

// Hash returns the base hash: that of the names and contents of configuration,
// tokenizer files and weights (with ReinitWeights: without those, with the seed).
func (m *Model) Hash() [sha256.Size]byte { return m.hash }

// Close frees the parameters on the device. Sessions of the model must not be used
// afterwards.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, b := range m.buffers {
		errs = append(errs, b.Finalize())
	}
	clear(m.buffers)
	if m.shared != nil {
		errs = append(errs, m.shared.memory.Unmap())
		m.shared = nil
	}
	return errors.Join(errs...)
}

// frozen is the method that does nothing.
type frozen struct{}

func (frozen) Trains(string) (string, bool) { return "", false }
func (frozen) Check([]string) error         { return nil }
