package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"

	"carillon/model/gpt2"
	"carillon/model/nn"
)

// architecture is one family of models: its graph, cut where methods and heads
// come in, and its names.
type architecture interface {
	Vocab() int
	Context() int
	Dimensions() (width, depth, heads int)
	// Embed returns the embeddings [B, T, d] of ids (int32 [B, T]).
	Embed(p nn.Params, ids *Node) *Node
	// Hidden returns what the head sees of a sequence [B, T, d].
	Hidden(p nn.Params, s nn.Sequence) *Node
	// Logits returns the head's output [..., V] for [..., d].
	Logits(p nn.Params, x *Node) *Node
	// Classes returns the names of what a classifier tells apart, by number: one
	// of a regression, none of a model that goes on with a text.
	Classes() []string
	// Score returns n outputs of a classifier's head [B, n] for [B, d].
	Score(p nn.Params, x *Node, n int) *Node
	// Name returns the parameter that a file's tensor holds, or "" for none.
	Name(tensor string) string
	// Tied returns the parameter that a tensor repeats, or "".
	Tied(tensor string) string
}

// architectures are the families by their model_type.
var architectures = map[string]func(config []byte) (architecture, error){
	"gpt2": func(config []byte) (architecture, error) {
		c, err := gpt2.ParseConfig(config)
		return gpt2.Model{Config: c}, err
	},
}

// parseConfig finds the family that a config.json is of.
func parseConfig(data []byte) (string, architecture, error) {
	var head struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return "", nil, err
	}
	parse, ok := architectures[head.ModelType]
	if !ok {
		return "", nil, fmt.Errorf("model_type %q is not known; known are %q", head.ModelType, slices.Sorted(maps.Keys(architectures)))
	}
	arch, err := parse(data)
	return head.ModelType, arch, err
}

// inputs are the rows of a program's first input, an int32 [4, B, T].
type inputs struct{ tokens, labels, mask, positions *Node }

// targets are one for each row, int32 [B]: the first of its labels.
func (in inputs) targets() *Node { return Squeeze(Slice(in.labels, AxisRange(), AxisElem(0)), 1) }

func inputsOf(batch *Node) inputs {
	dims := batch.Shape().Dimensions
	row := func(i int) *Node { return Reshape(Slice(batch, AxisElem(i)), dims[1], dims[2]) }
	return inputs{row(0), row(1), row(2), row(3)}
}

// declare builds the graph of a task's loss, runs nothing, and returns the
// parameters that it asked for, sorted by name, and the paths of its linear maps
// and embeddings.
func declare(be compute.Backend, arch architecture, method nn.Method, t task) (decls []nn.Decl, modules []string, err error) {
	g := NewGraph(be, "declare")
	defer g.Finalize()
	err = try(func() error {
		batch := Parameter(g, "batch", shapes.Make(dtypes.Int32, 4, 1, 1))
		p := nn.NewParams(g, method, func(d nn.Decl) *Node {
			decls = append(decls, d)
			return Parameter(g, d.Name, shapes.Make(dtypes.Float32, d.Shape...))
		}, nil)
		t.loss(arch, p, inputsOf(batch))
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
