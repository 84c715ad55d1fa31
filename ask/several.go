package ask

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"carillon/backend"
	"carillon/export"
	"carillon/job"
	"carillon/model"
	"carillon/safetensors"
)

// Base is the name of the base model alone, among adapters.
const Base = "base"

// Adapter is the directory of an adapter, and what it is called. The one without a
// name, of which there is at most one, answers what is asked of nobody by name.
type Adapter struct{ Name, Dir string }

// Several are adapters of one base model, of any methods, and the base model itself:
// in memory once. They are for one goroutine at a time.
type Several struct {
	base     *base
	spec     job.Spec // what is asked of the base alone
	adapters map[string]*Asker
	alone    *Asker // the base; nil until it is asked
}

// OpenSeveral opens a base model as Open does, with adapters over it. All must be
// for that model. Without any, an adapter that spec goes on from is one.
func OpenSeveral(ctx context.Context, be *backend.Backend, dir string, adapters []Adapter, spec job.Spec) (*Several, error) {
	if spec.InitFrom != "" {
		if len(adapters) == 0 {
			adapters = []Adapter{{Dir: spec.InitFrom}}
		}
		spec = spec.WithMethod(job.Spec{}) // its section may be the adapter's
		spec.InitFrom, spec.InitSHA256 = "", ""
	}
	all, err := readAdapters(adapters)
	if err != nil {
		return nil, err
	}
	dir = cmp.Or(dir, spec.BaseModel)
	if dir == "" && len(all) > 0 {
		dir = all[0].info.Base
	}
	if dir == "" {
		return nil, errors.New("no base model is named, and no adapter says where its own is")
	}
	b, err := openBase(ctx, be, dir, spec)
	if err != nil {
		return nil, err
	}
	s := &Several{base: b, spec: spec, adapters: map[string]*Asker{}}
	if err := s.add(all); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// read is an adapter's directory that has been read.
type read struct {
	Adapter
	info    export.AdapterInfo
	tensors []safetensors.Tensor
}

func readAdapters(adapters []Adapter) ([]read, error) {
	all := make([]read, len(adapters))
	for i, a := range adapters {
		info, tensors, err := export.Open(a.Dir)
		if err != nil {
			return nil, fmt.Errorf("adapter %s: %w", a.called(), err)
		}
		all[i] = read{a, info, tensors}
	}
	return all, nil
}

// called names an adapter to people.
func (a Adapter) called() string { return cmp.Or(a.Name, a.Dir) }

// add puts adapters over the base model, if they are its own.
func (s *Several) add(all []read) error {
	for _, r := range all {
		if err := s.base.isOf(r.info, optionsOf(s.spec)); err != nil {
			return fmt.Errorf("adapter %s: %w", r.called(), err)
		}
	}
	for _, r := range all {
		a, err := s.base.with(r, s.spec)
		if err != nil {
			return fmt.Errorf("adapter %s: %w", r.called(), err)
		}
		s.adapters[r.Name] = a
	}
	return nil
}

// isOf says why a base is not the model of an adapter: by the hash that it knows its
// own base by, else by that of the directory that it names. One that knows none and
// names no directory here says nothing: the shapes of the tensors will.
func (b *base) isOf(info export.AdapterInfo, opts model.Options) error {
	if info.BaseSHA256 != "" {
		return info.CheckBase(b.dir, b.model.Hash())
	}
	config, err := os.Stat(filepath.Join(info.Base, "config.json"))
	if err != nil || info.Base == "" {
		return nil
	}
	if ours, err := os.Stat(filepath.Join(b.dir, "config.json")); err == nil && os.SameFile(ours, config) {
		return nil
	}
	hash, err := model.HashDir(info.Base, opts)
	if err != nil {
		return err
	}
	if ours := b.model.Hash(); hash != ours {
		return fmt.Errorf("it is for the base model %s with hash %.6x…, and %s has %.6x…", info.Base, hash, b.dir, ours)
	}
	return nil
}

// with returns the Asker of an adapter.
func (b *base) with(r read, spec job.Spec) (*Asker, error) {
	spec = spec.WithMethod(r.info.Spec)
	if spec.TaskType == "" {
		spec.TaskType, spec.Labels = r.info.Spec.TaskType, r.info.Spec.Labels
	}
	seat, err := b.seatFor(spec)
	if err != nil {
		return nil, err
	}
	a := &Asker{base: b, name: r.called(), seat: seat}
	a.flat, err = a.flatten(r.tensors)
	return a, err
}

// Get returns who answers to a name: an adapter, or Base, the base model alone. ""
// is the adapter without a name, or the base alone if there is none.
func (s *Several) Get(name string) (*Asker, error) {
	if a, ok := s.adapters[name]; ok {
		return a, nil
	}
	if name != "" && name != Base {
		return nil, fmt.Errorf("there is no adapter %q; there are %s", name, s.names())
	}
	if s.alone == nil {
		a, err := s.base.bare(s.spec)
		if err != nil {
			return nil, err
		}
		s.alone = a
	}
	return s.alone, nil
}

// names lists who can be asked by name.
func (s *Several) names() string {
	list := []string{fmt.Sprintf("%q", Base)}
	for name := range s.adapters {
		if name != "" {
			list = append(list, fmt.Sprintf("%q", name))
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// awayFromBase are the methods of which the model says something else than the base
// before anything is trained.
var awayFromBase = []string{"adapter", "prefix", "prompt"}

// bare returns the Asker of the base model with what a spec starts from.
func (b *base) bare(spec job.Spec) (*Asker, error) {
	if slices.Contains(awayFromBase, spec.Method) {
		spec = spec.WithMethod(job.Spec{})
	}
	seat, err := b.seatFor(spec)
	if err != nil {
		return nil, err
	}
	return &Asker{base: b, name: Base, seat: seat}, nil
}

// Close frees the base model on the device, with all that is over it.
func (s *Several) Close() error { return s.base.Close() }
