package t5

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
)

// stack is the self-attention of an encoder's or a decoder's layers, which share
// what is added to their scores.
type stack struct {
	m      Model
	p      nn.Params // at the encoder or decoder
	layers int
	causal bool  // a decoder: tokens see those before them
	mask   *Node // an encoder's: hides padding
	bias   *Node // [B or 1, H, T, lead+T], once the first layer has made it
	kept   *nn.Kept
}

// forBlock is what a block takes of its stack: all of it, unless blocks are built
// twice and must not look at each other's nodes.
func (a *stack) forBlock() *stack {
	if !a.p.Twice() {
		return a
	}
	alone := *a
	alone.bias = nil
	return &alone
}

// selfAttention is the sublayer at p of a layer: x [B, T, d].
func (a *stack) selfAttention(p nn.Params, layer int, x *Node) *Node {
	y, at := a.m.norm(p.In("layer_norm"), x), p.In("SelfAttention")
	q, k, v := a.m.heads(at, "q", y), a.m.heads(at, "k", y), a.m.heads(at, "v", y)
	if a.causal {
		k, v = nn.EnterCache(at, layer, a.layers, k, v)
	}
	if a.bias == nil {
		a.bias = a.newBias(x.Shape().Dim(1), k.Shape().Dim(2))
	}
	return nn.EnterResidual(p, nn.Residual{X: x, A: a.m.attend(at, q, k, v, a.bias)})
}

// newBias returns what is added to the scores of t tokens and the keys of n: of the
// first layer's table by their distance, and what hides the keys that are not to be
// seen. Keys that a method puts in front have positions before those of the tokens.
func (a *stack) newBias(t, n int) *Node {
	p := a.p.In("block", 0, "layer", 0, "SelfAttention")
	if a.kept != nil {
		return Add(a.m.biasFrom(p, a.kept.Place(n), n), nn.CausalMask(nn.Sequence{Kept: a.kept}, n-t))
	}
	bias := a.m.positionBias(p, t, n, !a.causal)
	if !a.causal {
		return Add(bias, a.mask)
	}
	all := nn.Sequence{Mask: Ones(bias.Graph(), shapes.Make(dtypes.Int32, 1, t))}
	return Add(bias, nn.CausalMask(all, n-t))
}

// positionBias returns a bias for each head, of the distance from the last t of n
// positions to each: [1, H, t, n].
func (m Model) positionBias(p nn.Params, t, n int, both bool) *Node {
	g := p.Graph()
	square := shapes.Make(dtypes.Int32, t, n)
	distance := Sub(Iota(g, square, 1), Iota(g, square, 0)) // plus n-t: key - query
	bias := m.biases(p, AddScalar(distance, int32(t-1)), m.buckets(t+n-1, n, both))
	return Reshape(TransposeAllAxes(bias, 2, 0, 1), 1, m.NumHeads, t, n)
}

// biasFrom is positionBias of a decoder's one token in each row, at place (int32 [B])
// of n: [B, H, 1, n].
func (m Model) biasFrom(p nn.Params, place *Node, n int) *Node {
	b := place.Shape().Dim(0)
	key := Iota(p.Graph(), shapes.Make(dtypes.Int32, b, n), 1)
	distance := Sub(key, BroadcastToDims(Reshape(place, b, 1), b, n))
	bias := m.biases(p, AddScalar(distance, int32(n-1)), m.buckets(2*n-1, n, false))
	return Reshape(TransposeAllAxes(bias, 0, 2, 1), b, m.NumHeads, 1, n)
}

// buckets returns the rows of the table for so many distances, from 1-n on.
func (m Model) buckets(count, n int, both bool) []int32 {
	buckets := make([]int32, count)
	for i := range buckets {
		buckets[i] = int32(m.bucket(i+1-n, both))
	}
	return buckets
}

// biases are the rows [..., H] of the table at buckets[index].
func (m Model) biases(p nn.Params, index *Node, buckets []int32) *Node {
	table := p.In("relative_attention_bias").Weight("weight", nn.Normal(m.InitializerFactor/math.Sqrt(float64(m.DModel))), m.Buckets, m.NumHeads)
	return nn.Embedding(table, nn.Embedding(Const(p.Graph(), buckets), index))
}

// bucket returns the row of the table for a distance (key - query): near ones have
// one each, farther ones share one with others that are as far within a factor. In
// an encoder (both) half of the rows are for what comes after; in a decoder nothing
// that counts does.
func (m Model) bucket(distance int, both bool) int {
	rows, first := m.Buckets, 0
	if both {
		rows /= 2
		if distance > 0 {
			first = rows
		}
	} else {
		distance = min(distance, 0)
	}
	far, exact := max(distance, -distance), rows/2
	if far < exact {
		return first + far
	}
	log := math.Log(float64(far)/float64(exact)) / math.Log(float64(m.MaxDistance)/float64(exact))
	return first + min(exact+int(log*float64(rows-exact)), rows-1)
}

// crossAttention is the sublayer at p in which the decoder's x [B, Td, d] looks at
// the encoder's memory [B, T, d].
func (m Model) crossAttention(p nn.Params, layer int, x, memory, padding *Node) *Node {
	y, at := m.norm(p.In("layer_norm"), x), p.In("EncDecAttention")
	q := m.heads(at, "q", y)
	k, v := nn.EnterMemory(at, layer, func() (k, v *Node) { return m.heads(at, "k", memory), m.heads(at, "v", memory) })
	return nn.EnterResidual(p, nn.Residual{X: x, A: m.attend(at, q, k, v, padding), Cross: true})
}

// heads returns queries, keys or values [B, H, T, kv] of x [B, T, d].
func (m Model) heads(p nn.Params, name string, x *Node) *Node {
	fan := m.DModel
	if name == "q" {
		fan *= m.DKV // instead of scaling the scores
	}
	return nn.SplitHeads(m.linear(p.In(name), x, m.NumHeads*m.DKV, fan), m.NumHeads)
}

// attend returns the attention's output [B, T, d].
func (m Model) attend(p nn.Params, q, k, v, bias *Node) *Node {
	y := nn.MergeHeads(nn.Attention(q, k, v, bias, 1))
	return m.linear(p.In("o"), y, m.DModel, m.NumHeads*m.DKV)
}
