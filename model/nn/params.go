package nn

import (
	"fmt"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
)

// Decl describes a parameter that a graph asks for.
type Decl struct {
	Name   string // Hugging Face or PEFT state-dict key
	Shape  []int
	Init   Init   // its value where no file gives one
	From   From   // gives that value in Init's place, where it comes of the base model
	Added  bool   // the method's own: no base directory holds it
	Key    string // the name under which it is trained and saved; "" if it is frozen
	Decay  bool   // takes part in weight decay when it is trained
	Factor bool   // of products of matrices, and nothing else
}

// Size returns the number of elements.
func (d Decl) Size() int {
	n := 1
	for _, dim := range d.Shape {
		n *= dim
	}
	return n
}

// Params hands parameters to the code that builds a graph. It knows where in the
// model that code stands: In steps into a module.
type Params struct {
	path string
	b    *building
}

// building is what all Params of one graph share.
type building struct {
	graph   *Graph
	method  Method
	source  func(Decl) *Node
	nodes   map[string]*Node
	shared  map[string]any
	modules []string // paths of the linear maps and embeddings met so far
	dropout *Node    // uint32 [3]: key, and 1 where dropout is on; nil: none
	sites   uint32   // dropout sites met so far
	trained []*Node  // the parameters met so far that are trained
	again   *again   // set where blocks are computed again for the gradient
	kept    *Kept    // set where keys and values are kept for later
}

// NewParams starts a graph's parameters. source returns the node that holds a
// parameter's value; it is called once for each name. dropout, which may be nil,
// is a uint32 [3]: a job.Key, and 1 (dropout on) or 0 (off).
func NewParams(g *Graph, m Method, source func(Decl) *Node, dropout *Node) Params {
	return Params{b: &building{graph: g, method: m, source: source, nodes: map[string]*Node{}, shared: map[string]any{}, dropout: dropout}}
}

// Graph returns the graph being built.
func (p Params) Graph() *Graph { return p.b.graph }

// Path returns the module's path, as "transformer.h.0.attn.c_attn".
func (p Params) Path() string { return p.path }

// In returns the parameters of the module at the given path below this one.
func (p Params) In(path ...any) Params {
	for _, part := range path {
		p.path = strings.TrimPrefix(fmt.Sprintf("%s.%v", p.path, part), ".")
	}
	return p
}

// Weight returns a parameter of the model itself, named below this module.
func (p Params) Weight(name string, init Init, shape ...int) *Node {
	return p.own(Decl{Name: p.In(name).path, Shape: shape, Init: init, Decay: true})
}

// factor returns the weight of the linear map at p.
func (p Params) factor(init Init, shape ...int) *Node {
	return p.own(Decl{Name: p.In("weight").path, Shape: shape, Init: init, Decay: true, Factor: true})
}

// Vector returns a bias or a norm's parameter of the model itself: like Weight,
// but spared from weight decay (the rule of Hugging Face's Trainer).
func (p Params) Vector(name string, init Init, size int) *Node {
	return p.own(Decl{Name: p.In(name).path, Shape: []int{size}, Init: init})
}

// bias returns the bias of the linear map at p.
func (p Params) bias(size int) *Node {
	d := Decl{Name: p.In("bias").path, Shape: []int{size}, Init: Zero}
	if m, ok := p.b.method.(Biases); ok {
		if key, ok := m.TrainsBias(p.path); ok {
			d.Key = key
			return p.node(d)
		}
	}
	return p.own(d)
}

// Trainable returns a parameter that the method adds, under its full key.
func (p Params) Trainable(key string, init Init, shape ...int) *Node {
	decay := !strings.HasSuffix(key, "bias")
	return p.node(Decl{Name: key, Shape: shape, Init: init, Added: true, Key: key, Decay: decay})
}

// TrainableVector is Trainable for a norm's parameter: spared from weight decay.
func (p Params) TrainableVector(key string, init Init, size int) *Node {
	return p.node(Decl{Name: key, Shape: []int{size}, Init: init, Added: true, Key: key})
}

// TrainableFrom is Trainable with values that come of the base model.
func (p Params) TrainableFrom(key string, from From, shape ...int) *Node {
	return p.node(Decl{Name: key, Shape: shape, From: from, Added: true, Key: key, Decay: !strings.HasSuffix(key, "bias")})
}

func (p Params) own(d Decl) *Node {
	if key, ok := p.b.method.Trains(d.Name); ok {
		d.Key = key
	}
	return p.node(d)
}

func (p Params) node(d Decl) *Node {
	if n, ok := p.b.nodes[d.Name]; ok {
		return n
	}
	n := p.b.source(d)
	p.b.nodes[d.Name] = n
	if d.Key != "" {
		p.b.trained = append(p.b.trained, n)
	}
	return n
}

// Modules returns the paths of the linear maps and embeddings that the graph has
// passed through so far, in order.
func (p Params) Modules() []string { return p.b.modules }

// Once returns what make does, which it calls once for each graph and key: what a
// method computes in one place and uses in several.
func Once[T any](p Params, key string, make func() T) T {
	if made, ok := p.b.shared[key]; ok {
		return made.(T)
	}
	made := make()
	p.b.shared[key] = made
	return made
}
