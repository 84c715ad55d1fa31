package gpt2

import (
	"math"
	"regexp"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
)

// Model builds GPT-2's graph.
type Model struct{ Config }

// Vocab returns the number of tokens.
func (m Model) Vocab() int { return m.VocabSize }

// Context returns the longest sequence in tokens.
func (m Model) Context() int { return m.NPositions }

// Dimensions returns the width of the hidden layers, their number, and the heads
// of each.
func (m Model) Dimensions() (width, depth, heads int) { return m.NEmbd, m.NLayer, m.NHead }

// Causal says yes: a token sees those before it.
func (m Model) Causal() bool { return true }

// Embed returns the token embeddings of ids (int32 [B, T]): [B, T, d].
func (m Model) Embed(p nn.Params, ids *Node) *Node {
	return nn.EnterEmbedding(p.In("transformer", "wte"), m.tokens(p), ids)
}

func (m Model) tokens(p nn.Params) *Node {
	return p.In("transformer", "wte").Weight("weight", nn.Normal(m.InitializerRange), m.VocabSize, m.NEmbd)
}

// Hidden returns what the head sees of a sequence: [B, T, d].
func (m Model) Hidden(p nn.Params, s nn.Sequence) *Node {
	p = p.In("transformer")
	positions := p.In("wpe").Weight("weight", nn.Normal(m.InitializerRange), m.NPositions, m.NEmbd)
	x := Add(s.X, nn.EnterEmbedding(p.In("wpe"), positions, s.Positions))
	for i := range m.NLayer {
		x = nn.EnterBlock(p, func(in ...*Node) *Node { return m.block(p.In("h", i), i, in[0], s) }, x)
	}
	return nn.LayerNorm(p.In("ln_f"), x, m.LayerNormEpsilon)
}

// Logits returns x·Eᵀ [..., V] for x [..., d] from Hidden, where E is the
// embedding of the tokens (tied) or a matrix of its own.
func (m Model) Logits(p nn.Params, x *Node) *Node {
	head := p.In("lm_head")
	if m.TieWordEmbeddings {
		return nn.EnterHead(head, x, m.tokens(p), "transformer.wte.weight")
	}
	return nn.EnterHead(head, x, head.Weight("weight", nn.Normal(m.InitializerRange), m.VocabSize, m.NEmbd), "lm_head.weight")
}

// block is one layer, norms first: attention, then the feed-forward part. x [B, T, d]
// is what came of s.X so far.
func (m Model) block(p nn.Params, layer int, x *Node, s nn.Sequence) *Node {
	a := m.attention(p.In("attn"), layer, nn.LayerNorm(p.In("ln_1"), x, m.LayerNormEpsilon), s)
	x = nn.EnterResidual(p.In("attention_adapters"), nn.Residual{X: x, A: a})
	f := m.feedForward(p.In("mlp"), nn.LayerNorm(p.In("ln_2"), x, m.LayerNormEpsilon))
	return nn.EnterResidual(p.In("output_adapters"), nn.Residual{X: x, A: f, FeedForward: true})
}

// attention is causal self-attention over x [B, T, d]; one map makes q, k and v.
func (m Model) attention(p nn.Params, layer int, x *Node, s nn.Sequence) *Node {
	d, t := m.NEmbd, x.Shape().Dim(1)
	q, k, v := nn.SplitQKV(nn.Conv1D(p.In("c_attn"), x, 3*d, m.InitializerRange), m.NHead)
	k, v = nn.EnterCache(p, layer, m.NLayer, k, v)
	bias := nn.CausalMask(s, k.Shape().Dim(2)-t)
	y := nn.MergeHeads(nn.Attention(q, k, v, bias, m.scale(layer)))
	return nn.Conv1D(p.In("c_proj"), y, d, m.residualStd())
}

// scale is what the products of queries and keys are multiplied by.
func (m Model) scale(layer int) float64 {
	scale := 1.0
	if m.ScaleAttnWeights {
		scale = 1 / math.Sqrt(float64(m.NEmbd/m.NHead))
	}
	if m.ScaleAttnByInverseLayerIdx {
		scale /= float64(layer + 1)
	}
	return scale
}

func (m Model) feedForward(p nn.Params, x *Node) *Node {
	act, err := nn.Activation(m.ActivationFunction)
	if err != nil {
		panic(err) // ParseConfig has refused it
	}
	h := act(nn.Conv1D(p.In("c_fc"), x, m.NInner, m.InitializerRange))
	return nn.Conv1D(p.In("c_proj"), h, m.NEmbd, m.residualStd())
}

// residualStd makes the sum of all 2L sublayers' outputs as large at the start
// as that of one would be.
func (m Model) residualStd() float64 {
	return m.InitializerRange / math.Sqrt(2*float64(m.NLayer))
}

var (
	bare   = regexp.MustCompile(`^(wte|wpe|h|ln_f)\.`)
	buffer = regexp.MustCompile(`^transformer\.h\.\d+\.attn\.(bias|masked_bias)$`)
)

// Name returns the parameter that a tensor of a file holds: older files leave the
// prefix "transformer." out.
func (m Model) Name(tensor string) string {
	if bare.MatchString(tensor) {
		return "transformer." + tensor
	}
	return tensor
}

// Unused returns why a tensor is no parameter, or "".
func (m Model) Unused(tensor string) string {
	if buffer.MatchString(m.Name(tensor)) {
		return "a causal mask, which the graph makes itself"
	}
	return ""
}

// Tied returns the parameter that a tensor must be a copy of, or "": files of a
// tied model may hold the head as well.
func (m Model) Tied(tensor string) string {
	if m.TieWordEmbeddings && tensor == "lm_head.weight" {
		return "transformer.wte.weight"
	}
	return ""
}
