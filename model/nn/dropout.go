package nn

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Dropout sets a share rate of x's elements to zero and scales the others by
// 1/(1-rate), where the program's dropout is on (Srivastava et al., 2014,
// https://jmlr.org/papers/v15/srivastava14a.html). Element i of the graph's n-th
// dropout (from 0, in the order of building) is kept if
// Key.At(n<<32|i) >= rate·2^32, where the key is the program's input.
func (p Params) Dropout(x *Node, rate float64) *Node {
	if rate <= 0 || p.b.dropout == nil {
		return x
	}
	site := p.b.sites
	p.b.sites++
	g := p.b.graph
	on := element(p.b.dropout, 2)
	least := Mul(on, word(g, uint32(math.Round(rate*(1<<32)))))
	kept := GreaterOrEqual(hash(p.b.dropout, site, x.Shape()), least)
	scale := AddScalar(MulScalar(ConvertDType(on, dtypes.Float32), 1/(1-rate)-1), 1.0)
	return Where(kept, Mul(x, scale), ZerosLike(x))
}

// hash is job.Key.At for each element of a tensor: key is uint32 [3], of which
// the first two are the key.
func hash(key *Node, site uint32, shape shapes.Shape) *Node {
	g := key.Graph()
	index := Reshape(Iota(g, shapes.Make(dtypes.Uint32, shape.Size()), 0), shape.Dimensions...)
	h := scramble(BitwiseXor(index, element(key, 0)))
	h = Add(h, word(g, site*0x9E3779B9))
	return scramble(BitwiseXor(h, element(key, 1)))
}

// scramble is the function of that name in package job.
func scramble(x *Node) *Node {
	g := x.Graph()
	mix := func(shift uint32) { x = BitwiseXor(x, BitwiseShiftRightLogical(x, word(g, shift))) }
	mix(16)
	x = Mul(x, word(g, 0x7feb352d))
	mix(15)
	x = Mul(x, word(g, 0x846ca68b))
	mix(16)
	return x
}

func word(g *Graph, w uint32) *Node { return Const(g, w) }

// element returns x[i] as a scalar.
func element(x *Node, i int) *Node { return Squeeze(Slice(x, AxisElem(i)), 0) }
