package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"

	"carillon/job"
	"carillon/model/nn"
)

// Param is a trainable tensor: elements [Offset, Offset+product of Shape) of the
// flat vector.
type Param struct {
	Name   string // Hugging Face's or PEFT's state-dict key
	Shape  []int
	Offset int
	Decay  bool    // takes part in weight decay: neither a bias nor of a norm
	Rate   float64 // what its learning rate is multiplied by; 0: 1
}

// Input is a batch: Rows x Len numbers, row by row.
type Input struct {
	Rows, Len int
	Tokens    []int32 // in [0, vocabulary)
	Labels    []int32 // of causal_lm and masked_lm: unshifted, as Hugging Face has them; -100 where nothing is asked
	Mask      []int32 // 0 on padding, which may be on either side; on a token the number of its part, from 1 on

	// Targets are, for classifiers, one a row: the class, or the bits of a
	// regression's float32. For a model with a decoder, Rows x TargetLen: the ids
	// that the decoder shall say. -100 where nothing is asked.
	Targets []int32
	// DecoderTokens, Rows x TargetLen, are what a decoder reads: the targets behind
	// its start token.
	DecoderTokens []int32
	TargetLen     int // of a decoder's rows; else it says nothing
}

// Session is a model with a method in it, ready to train or to be asked. Upload
// waits for running calls; all other methods may be called at once.
type Session struct {
	model  *Model
	method nn.Method
	task   task
	seed   uint64
	params []Param
	decls  []nn.Decl // of params, in their order
	size   int
	packs  []pack

	mu      sync.RWMutex     // guards the two fields below and the memory behind them: held for reading while a program runs
	weights []compute.Buffer // the trainables on the device, one a pack
	shared  [][]float32      // the memory of each, where the device's is the host's

	compiling sync.Mutex // guards the field below
	programs  map[programKey]*program
}

// newSession puts a method into the model for a task, with the initial trainables.
func (m *Model) newSession(method nn.Method, t task, seed uint64) (*Session, error) {
	decls, err := m.declare(method, t)
	if err != nil {
		return nil, err
	}
	s := &Session{model: m, method: method, task: t, seed: seed, programs: map[programKey]*program{}}
	s.addParams(decls)
	if s.size == 0 {
		return nil, errors.New("the method trains nothing in this model")
	}
	if err := m.moveFrozen(decls, t.half); err != nil {
		return nil, err
	}
	first, err := s.initial()
	if err != nil {
		return nil, err
	}
	return s, s.Upload(first)
}

// addParams lays the trained parameters out in flat order.
func (s *Session) addParams(decls []nn.Decl) {
	for _, d := range decls {
		if d.Key != "" {
			s.decls = append(s.decls, d)
		}
	}
	slices.SortFunc(s.decls, func(a, b nn.Decl) int { return strings.Compare(a.Key, b.Key) })
	for _, d := range s.decls {
		s.params = append(s.params, Param{Name: d.Key, Shape: d.Shape, Offset: s.size, Decay: d.Decay})
		s.size += d.Size()
	}
	setRates(s.method, s.params)
	s.packs = packsOf(s.decls)
	s.weights, s.shared = make([]compute.Buffer, len(s.packs)), make([][]float32, len(s.packs))
}

// Task returns what the session asks its model for: a task_type of a recipe.
func (s *Session) Task() string { return s.task.name }

// Params returns the trainable tensors in flat order. The slice is the session's.
func (s *Session) Params() []Param { return s.params }

// Size returns the length of the flat vector.
func (s *Session) Size() int { return s.size }

// Initial returns the trainables as they are before the first step: the base's
// own values, and for what the method adds, and a head that the base lacks,
// values that follow from the seed and the name. It returns what Upload was first called with, by the session itself.
func (s *Session) Initial() []float32 {
	flat, err := s.initial()
	if err != nil {
		// The same values were read when the session was made.
		panic(fmt.Sprintf("initial trainables cannot be read again: %v", err))
	}
	return flat
}

func (s *Session) initial() ([]float32, error) {
	flat := make([]float32, s.size)
	err := s.model.read(s.decls, func(r reader) error {
		for i, d := range s.decls {
			dst := flat[s.params[i].Offset:][:d.Size()]
			key := job.NewKey(s.seed, job.ForInit, job.NameWord(d.Key))
			switch {
			case d.From != nil:
				if err := d.From(base{s.model}, key, dst); err != nil {
					return fmt.Errorf("first values of %s: %w", d.Key, err)
				}
			case d.Added || !s.model.has(d.Name):
				d.Init(key, dst)
			default:
				if err := r.value(d, dst); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return flat, err
}

// Upload makes flat (Size numbers) the trainables. It is the caller's again on
// return. After an error the trainables are undefined.
func (s *Session) Upload(flat []float32) error {
	if len(flat) != s.size {
		return fmt.Errorf("upload %d trainables, want %d", len(flat), s.size)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.model.compute.HasSharedBuffers() {
		return s.share(flat)
	}
	for i, p := range s.packs {
		b, err := s.model.compute.BufferFromFlatData(0, p.gather(flat), p.shape)
		if err != nil {
			return fmt.Errorf("upload trainables: %w", oneLine{err})
		}
		if old := s.weights[i]; old != nil {
			if err := old.Finalize(); err != nil {
				return fmt.Errorf("free old trainables: %w", oneLine{err})
			}
		}
		s.weights[i] = b
	}
	return nil
}

// share is Upload where the device's memory is the host's: it is taken once, and no
// program runs while it is written to. An engine that remembers what stood at an address
// would compute with the weights of an earlier step (XNNPACK does: see package backend).
func (s *Session) share(flat []float32) error {
	for i, p := range s.packs {
		if s.weights[i] != nil {
			continue
		}
		b, memory, err := s.model.compute.NewSharedBuffer(0, p.shape)
		if err != nil {
			return fmt.Errorf("memory for trainables: %w", oneLine{err})
		}
		s.weights[i], s.shared[i] = b, memory.([]float32)
	}
	for i, p := range s.packs {
		p.read(s.shared[i], flat)
	}
	return nil
}

// ReadBack returns a trainable as the device holds it.
func (s *Session) ReadBack(name string) ([]float32, error) {
	i := slices.IndexFunc(s.params, func(p Param) bool { return p.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("read back %q: there is no such trainable", name)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for k, p := range s.packs {
		for _, part := range p.parts {
			if part.decl != i {
				continue
			}
			all := make([]float32, p.shape.Size())
			if err := s.weights[k].ToFlatData(all); err != nil {
				return nil, fmt.Errorf("read back %s: %w", name, oneLine{err})
			}
			return all[part.at : part.at+part.size], nil
		}
	}
	panic(fmt.Sprintf("trainable %s is in no pack", name))
}

// Close frees the trainables on the device and the compiled programs.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for i, b := range s.weights {
		if b != nil {
			errs = append(errs, b.Finalize())
			s.weights[i], s.shared[i] = nil, nil
		}
	}
	s.compiling.Lock()
	defer s.compiling.Unlock()
	for _, p := range s.programs {
		p.executable.Finalize()
	}
	clear(s.programs)
	return errors.Join(errs...)
}
