package nn

import . "github.com/gomlx/gomlx/core/graph"

// Linear is a linear map as a method sees it: y = x·W + bias.
type Linear struct {
	X       *Node // [..., In]
	W       *Node // [In, Out] if InOut, else [Out, In]
	Bias    *Node // [Out] or nil
	In, Out int
	InOut   bool   // the layout of GPT-2's Conv1D
	Head    bool   // it makes a language model's logits
	Name    string // of the parameter W
}

// Apply returns the model's own output [..., Out] for an input [..., In].
func (m Linear) Apply(x *Node) *Node {
	var y *Node
	if m.InOut {
		y = Mat(x, m.W)
	} else {
		y = MatT(x, m.W)
	}
	if m.Bias == nil {
		return y
	}
	return AddVector(y, m.Bias)
}

// Conv1D passes x [..., in] through GPT-2's linear layer at p, whose weight is
// [in, out]. std is the standard deviation of its random first value.
func Conv1D(p Params, x *Node, out int, std float64) *Node {
	in := x.Shape().Dim(-1)
	return pass(p, Linear{
		X: x, In: in, Out: out, InOut: true,
		W:    p.factor(Normal(std), in, out),
		Bias: p.bias(out),
	})
}

// LinearOf passes x [..., in] through the linear layer at p, whose weight is
// [out, in]. std is the standard deviation of its random first value.
func LinearOf(p Params, x *Node, out int, bias bool, std float64) *Node {
	in := x.Shape().Dim(-1)
	m := Linear{X: x, In: in, Out: out, W: p.factor(Normal(std), out, in)}
	if bias {
		m.Bias = p.bias(out)
	}
	return pass(p, m)
}

// EnterHead returns the logits [..., V] of x [..., d] by a table [V, d] that is the
// parameter name: the head's own at p, or that of the embeddings.
func EnterHead(p Params, x, table *Node, name string) *Node {
	dims := table.Shape().Dimensions
	return pass(p, Linear{X: x, W: table, In: dims[1], Out: dims[0], Head: true, Name: name})
}

// pass lets the graph's method have its say about a linear map.
func pass(p Params, m Linear) *Node {
	p.b.modules = append(p.b.modules, p.path)
	if m.Name == "" {
		m.Name = p.In("weight").path
	}
	if method, ok := p.b.method.(Linears); ok {
		return method.Linear(p, m)
	}
	return m.Apply(m.X)
}

// Mat returns x·w for x [..., in] and w [in, out].
func Mat(x, w *Node) *Node {
	rows := letters[:x.Rank()-1]
	return product(x, w, rows+"i", "io", rows+"o")
}

// MatT returns x·wᵀ for x [..., in] and w [out, in].
func MatT(x, w *Node) *Node {
	rows := letters[:x.Rank()-1]
	return product(x, w, rows+"i", "oi", rows+"o")
}

// letters are names of axes.
const letters = "abcdefgh"

// AddVector adds v [n] to each row of x [..., n].
func AddVector(x, v *Node) *Node { return Add(x, ExpandLeft(v, x.Rank())) }

// ExpandLeft puts axes of length 1 before those of x, up to rank.
func ExpandLeft(x *Node, rank int) *Node {
	dims := make([]int, rank)
	for i := range dims {
		dims[i] = 1
	}
	copy(dims[rank-x.Rank():], x.Shape().Dimensions)
	return Reshape(x, dims...)
}
