package t5

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
)

// Model builds T5's graph.
type Model struct{ Config }

// Vocab returns the number of tokens.
func (m Model) Vocab() int { return m.VocabSize }

// Context returns the longest sequence in tokens: T5 sets none, and memory does.
func (m Model) Context() int { return 1 << 20 }

// Dimensions returns the width of the hidden layers, their number in encoder and
// decoder, and the heads of each.
func (m Model) Dimensions() (width, depth, heads int) {
	return m.DModel, m.NumLayers + m.NumDecoderLayers, m.NumHeads
}

// Causal says no: the encoder's tokens see all others.
func (m Model) Causal() bool { return false }

// Start returns the token that the decoder begins with.
func (m Model) Start() int32 { return int32(m.start()) }

// Bare reports whether the model's files hold no head.
func (m Model) Bare() bool { return len(m.Architectures) == 1 && m.Architectures[0] == bare }

// Embed returns the token embeddings of ids (int32 [B, T]): [B, T, d].
func (m Model) Embed(p nn.Params, ids *Node) *Node {
	return nn.EnterEmbedding(p.In("shared"), m.tokens(p), ids)
}

func (m Model) tokens(p nn.Params) *Node {
	return p.In("shared").Weight("weight", nn.Normal(m.InitializerFactor), m.VocabSize, m.DModel)
}

// Hidden returns the encoder's output for a sequence: [B, T, d].
func (m Model) Hidden(p nn.Params, s nn.Sequence) *Node {
	p = p.In("encoder")
	e := &stack{m: m, p: p, layers: m.NumLayers, mask: nn.PaddingMask(s, 0)}
	x := s.X
	for i := range m.NumLayers {
		block := p.In("block", i)
		x = nn.EnterBlock(p, func(in ...*Node) *Node {
			y := e.forBlock().selfAttention(block.In("layer", 0), i, in[0])
			return m.feedForward(block.In("layer", 1), y)
		}, x)
	}
	return m.norm(p.In("final_layer_norm"), x)
}

// Decode returns the decoder's output [B, Td, d] for its inputs ids (int32 [B, Td])
// and what Hidden gave of s, memory [B, T, d]. What pads ids comes last, where no
// other token sees it. Where s has what was kept, each row is one token, and memory nil.
func (m Model) Decode(p nn.Params, ids, memory *Node, s nn.Sequence) *Node {
	x := m.Embed(p, ids)
	p = p.In("decoder")
	d := &stack{m: m, p: p, layers: m.NumDecoderLayers, causal: true, kept: s.Kept}
	padding := nn.PaddingMask(s, 0) // [B, 1, 1, T]
	for i := range m.NumDecoderLayers {
		block := p.In("block", i)
		x = nn.EnterBlock(p, func(in ...*Node) *Node {
			y := d.forBlock().selfAttention(block.In("layer", 0), i, in[0])
			y = m.crossAttention(block.In("layer", 1), i, y, in[1], padding)
			return m.feedForward(block.In("layer", 2), y)
		}, x, memory)
	}
	return m.norm(p.In("final_layer_norm"), x)
}

// Logits returns x·Eᵀ/√d [..., V] for x [..., d] from Decode, where E is the
// embedding of the tokens, or x·Hᵀ with a matrix of its own.
func (m Model) Logits(p nn.Params, x *Node) *Node {
	head := p.In("lm_head")
	if m.TieWordEmbeddings {
		x = MulScalar(x, 1/math.Sqrt(float64(m.DModel)))
		return nn.EnterHead(head, x, m.tokens(p), p.In("shared", "weight").Path())
	}
	table := head.Weight("weight", nn.Normal(m.InitializerFactor), m.VocabSize, m.DModel)
	return nn.EnterHead(head, x, table, head.In("weight").Path())
}

func (m Model) norm(p nn.Params, x *Node) *Node { return nn.RMSNorm(p, x, m.LayerNormEpsilon) }

// linear passes x [..., in] through a map without a bias, whose random first values
// are as small as the inverse of √fan.
func (m Model) linear(p nn.Params, x *Node, out, fan int) *Node {
	return nn.LinearOf(p, x, out, false, m.InitializerFactor/math.Sqrt(float64(fan)))
}

// feedForward is the sublayer at p: wo·act(wi·x), or wo·(act(wi_0·x) ⊙ wi_1·x). x [B, T, d].
func (m Model) feedForward(p nn.Params, x *Node) *Node {
	act, err := nn.Activation(m.activation)
	if err != nil {
		panic(err) // ParseConfig has refused it
	}
	y, dense := m.norm(p.In("layer_norm"), x), p.In("DenseReluDense")
	var h *Node // [B, T, ff]
	if m.gated {
		h = Mul(act(m.linear(dense.In("wi_0"), y, m.DFF, m.DModel)), m.linear(dense.In("wi_1"), y, m.DFF, m.DModel))
	} else {
		h = act(m.linear(dense.In("wi"), y, m.DFF, m.DModel))
	}
	a := m.linear(dense.In("wo"), h, m.DModel, m.DFF)
	return nn.EnterResidual(p, nn.Residual{X: x, A: a, FeedForward: true})
}
