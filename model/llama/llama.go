package llama

import (
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
)

// Model builds the graph of a Config.
type Model struct {
	Config
	kvHeads, headDim int
	qkvBias, outBias bool // of the attention's maps
	mlpBias          bool
	qkNorm           bool
	windows          []int     // how many keys a token sees in each layer; 0: all
	frequencies      []float64 // angles per position [hd/2]
}

// Vocab returns the number of tokens.
func (m Model) Vocab() int { return m.VocabSize }

// Context returns the longest sequence in tokens.
func (m Model) Context() int { return m.MaxPositionEmbeddings }

// Dimensions returns the width of the hidden layers, their number, and the heads
// of each.
func (m Model) Dimensions() (width, depth, heads int) {
	return m.HiddenSize, m.NumHiddenLayers, m.NumAttentionHeads
}

// Causal reports that tokens see those before them alone.
func (m Model) Causal() bool { return true }

// Bare reports whether config.json is of a model without a head.
func (m Model) Bare() bool {
	return slices.Equal(m.Architectures, []string{kinds[m.ModelType].class + bare})
}

// Classes returns the names of what a classifier tells apart, by number: one of a
// regression, none of a model that goes on with a text.
func (m Model) Classes() []string {
	if !slices.Contains(m.Architectures, kinds[m.ModelType].class+classifier) {
		return nil
	}
	return m.Head.Names()
}

// Embed returns the token embeddings of ids (int32 [B, T]): [B, T, d].
func (m Model) Embed(p nn.Params, ids *Node) *Node {
	return nn.EnterEmbedding(p.In("model", "embed_tokens"), m.tokens(p), ids)
}

func (m Model) tokens(p nn.Params) *Node {
	return p.In("model", "embed_tokens").Weight("weight", nn.Normal(m.InitializerRange), m.VocabSize, m.HiddenSize)
}

// Logits returns x·Eᵀ [..., V] for x [..., d] from Hidden, where E is the
// embedding of the tokens (tied) or a matrix of its own.
func (m Model) Logits(p nn.Params, x *Node) *Node {
	head := p.In("lm_head")
	if m.TieWordEmbeddings {
		return nn.EnterHead(head, x, m.tokens(p), embeddings)
	}
	return nn.EnterHead(head, x, head.Weight("weight", nn.Normal(m.InitializerRange), m.VocabSize, m.HiddenSize), "lm_head.weight")
}

// Score returns a classifier's outputs x·Sᵀ [B, n], x being the last token of each
// row of hidden [B, T, d] from Hidden.
func (m Model) Score(p nn.Params, hidden *Node, s nn.Sequence, n int) *Node {
	x := nn.PickRows(hidden, nn.LastTokens(s.Mask))
	return nn.LinearOf(p.In("score"), x, n, false, m.InitializerRange)
}

// Hidden returns what the head sees of a sequence: [B, T, d].
func (m Model) Hidden(p nn.Params, s nn.Sequence) *Node {
	p = p.In("model")
	v := view{s: s}
	v.cos, v.sin = m.angles(s.Positions)
	x := s.X
	for i := range m.NumHiddenLayers {
		x = nn.EnterBlock(p, func(in ...*Node) *Node { return m.block(p.In("layers", i), i, in[0], v) }, x)
	}
	return nn.RMSNorm(p.In("norm"), x, m.RMSNormEps)
}

// view is what the attention of all layers has in common.
type view struct {
	s        nn.Sequence
	cos, sin *Node // of the tokens' positions [B, 1, T, hd/2]
}

// mask is that of a layer whose tokens see window keys, and lead before their own.
func (v view) mask(lead, window int) *Node {
	if window == 0 {
		return nn.CausalMask(v.s, lead)
	}
	return nn.WindowMask(v.s, lead, window)
}

// block is one layer, norms first: attention, then the feed-forward part. x [B, T, d]
// is what came of s.X so far.
func (m Model) block(p nn.Params, layer int, x *Node, v view) *Node {
	a := m.attention(p.In("self_attn"), layer, nn.RMSNorm(p.In("input_layernorm"), x, m.RMSNormEps), v)
	x = nn.EnterResidual(p.In("attention_adapters"), nn.Residual{X: x, A: a})
	f := m.feedForward(p.In("mlp"), nn.RMSNorm(p.In("post_attention_layernorm"), x, m.RMSNormEps))
	return nn.EnterResidual(p.In("output_adapters"), nn.Residual{X: x, A: f, FeedForward: true})
}

// attention is causal self-attention over x [B, T, d]. Keys are rotated by their
// positions before others, which have none, are put in front of them.
func (m Model) attention(p nn.Params, layer int, x *Node, v view) *Node {
	q := m.heads(p.In("q_proj"), x, m.NumAttentionHeads) // [B, H, T, hd]
	k := m.heads(p.In("k_proj"), x, m.kvHeads)           // [B, KV, T, hd]
	values := m.heads(p.In("v_proj"), x, m.kvHeads)
	if m.qkNorm {
		q, k = nn.RMSNorm(p.In("q_norm"), q, m.RMSNormEps), nn.RMSNorm(p.In("k_norm"), k, m.RMSNormEps)
	}
	q, k = nn.Rotate(q, v.cos, v.sin), nn.Rotate(k, v.cos, v.sin)
	k, values = nn.EnterCache(p, layer, m.NumHiddenLayers, k, values) // [B, KV, lead+T, hd]
	bias := v.mask(k.Shape().Dim(2)-x.Shape().Dim(1), m.windows[layer])
	y := nn.Attention(q, k, values, bias, 1/math.Sqrt(float64(m.headDim)))
	return nn.LinearOf(p.In("o_proj"), nn.MergeHeads(y), m.HiddenSize, m.outBias, m.InitializerRange)
}

// heads is a linear map of x [B, T, d] to so many heads: [B, heads, T, hd].
func (m Model) heads(p nn.Params, x *Node, heads int) *Node {
	return nn.SplitHeads(nn.LinearOf(p, x, heads*m.headDim, m.qkvBias, m.InitializerRange), heads)
}

// feedForward is act(x·Gᵀ)·(x·Uᵀ)·Dᵀ (SwiGLU, where act is silu: Shazeer, 2020,
// https://arxiv.org/abs/2002.05202).
func (m Model) feedForward(p nn.Params, x *Node) *Node {
	act, err := nn.Activation(m.HiddenAct)
	if err != nil {
		panic(err) // ParseConfig has refused it
	}
	gate := nn.LinearOf(p.In("gate_proj"), x, m.IntermediateSize, m.mlpBias, m.InitializerRange)
	up := nn.LinearOf(p.In("up_proj"), x, m.IntermediateSize, m.mlpBias, m.InitializerRange)
	return nn.LinearOf(p.In("down_proj"), Mul(act(gate), up), m.HiddenSize, m.mlpBias, m.InitializerRange)
}
