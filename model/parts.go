package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute"

	"carillon/job"
	"carillon/model/nn"
	"carillon/safetensors"
)

// parts are the parameters of a base model by what its files say of them. A file
// may hold other heads than that of its own task: bert-base holds one for masked
// words, and the first layer of one for classes.
type parts struct {
	own    []nn.Decl // of the model without its head, and of its own task's head: they must be there
	others []nn.Decl // of other heads of the family: they may be
}

// headless is a base model whose files hold no head.
type headless interface{ Bare() bool }

// partsOf finds what the files of a family's model may hold.
func partsOf(be compute.Backend, arch architecture) (p parts, err error) {
	own := ownTask(arch)
	read := func(t task, headless bool) (decls []nn.Decl) {
		if err == nil {
			decls, _, err = declareGraph(be, frozen{}, t, func(params nn.Params, in inputs) {
				if headless {
					t.hidden(arch, params, in)
					return
				}
				t.loss(arch, params, in)
			})
		}
		return decls
	}
	h, ok := arch.(headless)
	p.own = read(own, ok && h.Bare())
	p.others = read(task{name: languageTask(arch)}.of(arch), false)
	if _, ok := arch.(classifier); ok {
		two, three := read(classesOf(2, arch), false), read(classesOf(3, arch), false)
		// What depends on the number of classes is that task's own.
		p.others = append(p.others, slices.DeleteFunc(two, func(d nn.Decl) bool { return !contains(three, d) })...)
	}
	p.others = slices.DeleteFunc(p.others, func(d nn.Decl) bool { return contains(p.own, d) })
	return p, err
}

// classesOf is the task to tell n classes apart.
func classesOf(n int, arch architecture) task {
	return task{name: job.SeqCls, outputs: n}.of(arch)
}

// contains reports whether a parameter is among decls, in the same shape.
func contains(decls []nn.Decl, d nn.Decl) bool {
	return slices.ContainsFunc(decls, func(e nn.Decl) bool { return e.Name == d.Name && slices.Equal(e.Shape, d.Shape) })
}

// pairing is what becomes of the tensors of a base model's files.
type pairing struct {
	arch    architecture
	params  map[string]nn.Decl // what a tensor may be
	tensors map[string]string  // parameter -> its tensor
	unused  map[string]string  // tensor -> why it is no parameter
	copies  map[string]string  // tensor -> the parameter that it repeats
	wrong   []string
}

// pair finds the tensor of each parameter, and the parameter, or the reason why
// there is none, of each tensor. Its error names all that have no partner.
func (p parts) pair(arch architecture, tensors []safetensors.Info) (*pairing, error) {
	m := &pairing{arch: arch, params: map[string]nn.Decl{}, tensors: map[string]string{}, unused: map[string]string{}, copies: map[string]string{}}
	for _, d := range slices.Concat(p.others, p.own) {
		m.params[d.Name] = d
	}
	for _, t := range tensors {
		m.place(t)
	}
	for _, d := range p.own {
		if m.tensors[d.Name] == "" && !m.standIn(d, tensors) {
			m.wrong = append(m.wrong, fmt.Sprintf("tensor %s is missing", d.Name))
		}
	}
	if len(m.wrong) > 0 {
		return nil, fmt.Errorf("its tensors do not fit config.json: %s", strings.Join(m.wrong, "; "))
	}
	return m, nil
}

// place decides about a tensor.
func (m *pairing) place(t safetensors.Info) {
	if reason := m.arch.Unused(t.Name); reason != "" {
		m.unused[t.Name] = reason
		return
	}
	if original := m.arch.Tied(t.Name); original != "" {
		m.copies[t.Name] = original
		return
	}
	name := m.arch.Name(t.Name)
	d, ok := m.params[name]
	switch {
	case !ok:
		m.refuse("tensor %s is superfluous", t.Name)
	case m.tensors[name] != "":
		m.refuse("tensors %s and %s are the same parameter", m.tensors[name], t.Name)
	default:
		m.tensors[name] = t.Name
		m.check(t, d)
	}
}

func (m *pairing) check(t safetensors.Info, d nn.Decl) {
	if !slices.Equal(d.Shape, t.Shape) {
		m.refuse("tensor %s has shape %v, want %v", t.Name, t.Shape, d.Shape)
	}
	if !t.DType.Float() {
		m.refuse("tensor %s is of type %s, want F32, F16 or BF16", t.Name, t.DType)
	}
}

func (m *pairing) refuse(format string, args ...any) {
	m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
}

// standsIn is a family whose files may hold a tied parameter under the name of a
// copy alone.
type standsIn interface {
	// StandIn returns that tensor, or "".
	StandIn(parameter string) (tensor string)
}

// standIn takes a copy for a parameter that a file does not hold itself.
func (m *pairing) standIn(d nn.Decl, tensors []safetensors.Info) bool {
	s, ok := m.arch.(standsIn)
	if !ok {
		return false
	}
	for _, t := range tensors {
		if t.Name == s.StandIn(d.Name) {
			m.tensors[d.Name] = t.Name
			delete(m.copies, t.Name)
			m.check(t, d)
			return true
		}
	}
	return false
}
