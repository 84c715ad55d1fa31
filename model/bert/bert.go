// Package bert is BERT and two of its descendants, RoBERTa and DistilBERT, as
// Hugging Face's classes ForSequenceClassification, ForMaskedLM and the bare Model
// compute them: config.json, graph, heads, and the names in files.
//
// The three are one graph, an encoder whose norms follow the sums. What they call
// its parts, and the little in which they differ, is a value of type family, one
// file each.
//
// Every token sees all tokens of its row. The type of a token (the first or the
// second text of a pair) is the number of its part in nn.Sequence's mask, less one.
// A token's position is the number of tokens before it: where padding stands on the
// right, what Hugging Face has.
//
// The parameters are whatever the graph asks for; the package holds no list of
// them. A configuration that asks for something that is not built (relative
// positions, a decoder, several labels at once, an unknown activation) is refused
// by name.
package bert

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
)

// Model builds the graph of one family's configuration.
type Model struct {
	Config
	family family
}

// wordEmbeddings is where the tokens' embeddings are, below the family's root.
const wordEmbeddings = "embeddings.word_embeddings"

// Vocab returns the number of tokens.
func (m Model) Vocab() int { return m.VocabSize }

// Context returns the longest sequence in tokens.
func (m Model) Context() int { return m.MaxPositionEmbeddings - m.firstPosition() }

// firstPosition is the row of the first token in the table of positions.
func (m Model) firstPosition() int {
	if m.family.after {
		return m.PadTokenID + 1
	}
	return 0
}

// Dimensions returns the width of the hidden layers, their number, and the heads
// of each.
func (m Model) Dimensions() (width, depth, heads int) {
	return m.HiddenSize, m.NumHiddenLayers, m.NumAttentionHeads
}

// Causal reports false: a token sees those after it.
func (m Model) Causal() bool { return false }

// Embed returns the token embeddings of ids (int32 [B, T]): [B, T, d].
func (m Model) Embed(p nn.Params, ids *Node) *Node {
	return m.embed(p.In(m.family.root, wordEmbeddings), m.VocabSize, ids)
}

// embed reads the table of embeddings [rows, d] at p.
func (m Model) embed(p nn.Params, rows int, ids *Node) *Node {
	return nn.EnterEmbedding(p, m.table(p, rows), ids)
}

func (m Model) table(p nn.Params, rows int) *Node {
	return p.Weight("weight", nn.Normal(m.InitializerRange), rows, m.HiddenSize)
}

// Hidden returns what a head sees of a sequence: [B, T, d], a classifier's first token
// alone [B, 1, d].
func (m Model) Hidden(p nn.Params, s nn.Sequence) *Node {
	p = p.In(m.family.root)
	positions := AddScalar(s.Positions, int32(m.firstPosition()))
	x := Add(s.X, m.embed(p.In("embeddings", "position_embeddings"), m.MaxPositionEmbeddings, positions))
	if m.TypeVocabSize > 0 {
		x = Add(x, m.embed(p.In("embeddings", "token_type_embeddings"), m.TypeVocabSize, m.types(s)))
	}
	x = m.normalize(p.In("embeddings", "LayerNorm"), x)
	for i := range m.NumHiddenLayers {
		asked := func(x *Node) *Node { return x }
		if s.Classify && i == m.NumHiddenLayers-1 {
			asked = func(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(0, 1)) }
		}
		x = nn.EnterBlock(p, func(in ...*Node) *Node { return m.layer(p.In(m.family.layers, i), i, asked(in[0]), in[0], s) }, x)
	}
	return x
}

// types returns the type of each token, int32 [B, T]; padding has type 0.
func (m Model) types(s nn.Sequence) *Node {
	last := int32(m.TypeVocabSize - 1)
	return MinScalar(MaxScalar(AddScalar(s.Mask, int32(-1)), int32(0)), last)
}

func (m Model) normalize(p nn.Params, x *Node) *Node { return nn.LayerNorm(p, x, m.LayerNormEps) }

// layer is attention, then the feed-forward part, each with a norm after its sum.
// seen [B, T, d] is what came of s.X so far, and x what is asked for of it: all, or
// the first token [B, 1, d].
func (m Model) layer(p nn.Params, i int, x, seen *Node, s nn.Sequence) *Node {
	f := m.family
	norm := func(x *Node) *Node { return m.normalize(p.In(f.attentionNorm), x) }
	a := m.attention(p, i, x, seen, s)
	x = norm(nn.EnterResidual(p.In(f.attentionBottleneck), nn.Residual{X: x, A: a, Norm: norm}))

	norm = func(x *Node) *Node { return m.normalize(p.In(f.norm), x) }
	h := m.act(m.linear(p.In(f.up), x, m.IntermediateSize)) // [..., intermediate_size]
	a = m.linear(p.In(f.down), h, m.HiddenSize)
	return norm(nn.EnterResidual(p.In(f.bottleneck), nn.Residual{X: x, A: a, FeedForward: true, Norm: norm}))
}

// attention lets each token of x see all those of seen [B, T, d].
func (m Model) attention(p nn.Params, i int, x, seen *Node, s nn.Sequence) *Node {
	f, d, t := m.family, m.HiddenSize, seen.Shape().Dim(1)
	project := func(name string, x *Node) *Node {
		return nn.SplitHeads(m.linear(p.In(name), x, d), m.NumAttentionHeads)
	}
	q, k, v := project(f.query, x), project(f.key, seen), project(f.value, seen) // [B, H, T or 1, hd]
	k, v = nn.EnterCache(p, i, m.NumHiddenLayers, k, v)
	bias := nn.PaddingMask(s, k.Shape().Dim(2)-t)
	y := nn.Attention(q, k, v, bias, 1/math.Sqrt(float64(d/m.NumAttentionHeads)))
	return m.linear(p.In(f.output), nn.MergeHeads(y), d)
}

func (m Model) linear(p nn.Params, x *Node, out int) *Node {
	return nn.LinearOf(p, x, out, true, m.InitializerRange)
}

// act is hidden_act.
func (m Model) act(x *Node) *Node { return activate(m.HiddenAct, x) }

func activate(name string, x *Node) *Node {
	act, err := nn.Activation(name)
	if err != nil {
		panic(err) // ParseConfig has refused it
	}
	return act(x)
}
