package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"

	"carillon/model/bert"
	"carillon/model/family"
	"carillon/model/gpt2"
	"carillon/model/llama"
	"carillon/model/nn"
	"carillon/model/t5"
)

// architecture is one family of models: its graph, cut where methods and heads
// come in, and its names.
type architecture interface {
	Vocab() int
	Context() int
	Dimensions() (width, depth, heads int)
	// Causal reports whether tokens see those before them only, so that the model
	// can go on with a text.
	Causal() bool
	// Embed returns the embeddings [B, T, d] of ids (int32 [B, T]): of the tokens
	// alone, without what positions and types add.
	Embed(p nn.Params, ids *Node) *Node
	// Hidden returns what the head sees of a sequence [B, T, d]; of a translator,
	// what the decoder sees.
	Hidden(p nn.Params, s nn.Sequence) *Node
	// Logits returns the language model's head's output [..., V] for [..., d].
	Logits(p nn.Params, x *Node) *Node
	family.Family
}

// classifier is an architecture with a head that tells classes apart.
type classifier interface {
	// Classes returns the names of what a classifier tells apart, by number: one
	// of a regression, none of a model that was made for something else.
	Classes() []string
	// Score returns n outputs of a classifier's head [B, n] for what Hidden gave,
	// x [B, T, d], of s.
	Score(p nn.Params, x *Node, s nn.Sequence, n int) *Node
}

// translator is an architecture with an encoder and a decoder.
type translator interface {
	// Start returns the token that the decoder begins with.
	Start() int32
	// Decode returns what the head sees [B, Td, d] of the decoder's inputs ids
	// (int32 [B, Td]), where memory [B, T, d] is what Hidden gave of s.
	Decode(p nn.Params, ids, memory *Node, s nn.Sequence) *Node
}

// What the families are.
var (
	_ architecture = gpt2.Model{}
	_ architecture = bert.Model{}
	_ architecture = llama.Model{}
	_ architecture = t5.Model{}
)

// parseConfig finds the family that a config.json is of.
func parseConfig(data []byte) (string, architecture, error) {
	modelType, f, err := family.Parse(data)
	if err != nil {
		return modelType, nil, err
	}
	return modelType, f.(architecture), nil
}

// inputs are what a program reads of a batch.
type inputs struct {
	tokens, labels, mask, positions *Node // int32 [B, T]
	decoderTokens, decoderLabels    *Node // int32 [B, Td]; nil without a decoder
}

// targets are one for each row, int32 [B]: the first of its labels.
func (in inputs) targets() *Node { return Squeeze(Slice(in.labels, AxisRange(), AxisElem(0)), 1) }

// batchNodes makes the inputs of a graph that hold a batch: an int32 [4, B, T],
// and for a model with a decoder an int32 [2, B, Td].
func (t task) batchNodes(g *Graph, key programKey) inputs {
	in := inputsOf(Parameter(g, "batch", shapes.Make(dtypes.Int32, 4, key.rows, key.len)))
	if t.decodes {
		decoder := Parameter(g, "decoder", shapes.Make(dtypes.Int32, 2, key.rows, key.target))
		in.decoderTokens, in.decoderLabels = layer(decoder, 0), layer(decoder, 1)
	}
	return in
}

// inputsOf cuts a batch without a decoder's part, int32 [4, B, T].
func inputsOf(batch *Node) inputs {
	return inputs{tokens: layer(batch, 0), labels: layer(batch, 1), mask: layer(batch, 2), positions: layer(batch, 3)}
}

// layer returns x[i] of x [n, B, T].
func layer(x *Node, i int) *Node {
	dims := x.Shape().Dimensions
	return Reshape(Slice(x, AxisElem(i)), dims[1], dims[2])
}

// declare builds the graph of a task's loss, as declareGraph does.
func declare(be compute.Backend, arch architecture, method nn.Method, t task) (decls []nn.Decl, modules []string, err error) {
	return declareGraph(be, method, t, func(p nn.Params, in inputs) { t.loss(arch, p, in) })
}

// declareGraph builds a graph of a task's inputs, runs nothing, and returns the
// parameters that it asked for, sorted by name, and the paths of its linear maps
// and embeddings.
func declareGraph(be compute.Backend, method nn.Method, t task, build func(nn.Params, inputs)) (decls []nn.Decl, modules []string, err error) {
	g := NewGraph(be, "declare")
	defer g.Finalize()
	err = try(func() error {
		in := t.batchNodes(g, programKey{rows: 1, len: 1, target: 1})
		p := nn.NewParams(g, method, func(d nn.Decl) *Node {
			decls = append(decls, d)
			return Parameter(g, d.Name, shapes.Make(dtypes.Float32, d.Shape...))
		}, nil)
		build(p, in)
		modules = p.Modules()
		return nil
	})
	slices.SortFunc(decls, func(a, b nn.Decl) int { return strings.Compare(a.Name, b.Name) })
	return decls, modules, err
}

// try turns what GoMLX throws while a graph is built or run into an error.
func try(fn func() error) (err error) {
	thrown := exceptions.Try(func() { err = fn() })
	switch thrown := thrown.(type) {
	case nil:
		return err
	case error:
		return oneLine{thrown}
	default:
		return errors.New(fmt.Sprint(thrown))
	}
}

// oneLine hides the stack trace that GoMLX's errors print with.
type oneLine struct{ error }

func (e oneLine) Unwrap() error { return e.error }
