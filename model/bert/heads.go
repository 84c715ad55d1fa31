package bert

import (
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
)

// Classes returns the names of what a classifier tells apart, by number: one of a
// regression, none of a model that is no classifier.
func (m Model) Classes() []string {
	if !m.has(classifier) {
		return nil
	}
	return m.Head.Names()
}

// Bare reports whether the model's files hold no head.
func (m Model) Bare() bool { return !m.has(classifier) && !m.has(maskedLM) && !m.has(pretraining) }

// Score returns a classifier's n outputs [B, n] for x [B, T, d] from Hidden.
func (m Model) Score(p nn.Params, x *Node, _ nn.Sequence, n int) *Node {
	f, h := m.family, m.features(p, x)
	if f.dense != "" {
		h = f.activation(m.linear(p.In(f.dense), h, m.HiddenSize))
	}
	return m.linear(p.In(f.classifier), h, n)
}

// features returns what a classifier sees [B, d] of x [B, T, d]: the first token,
// which in a text is [CLS] or <s>, through the pooler where there is one.
func (m Model) features(p nn.Params, x *Node) *Node {
	first := Squeeze(Slice(x, AxisRange(), AxisElem(0)), 1)
	if m.family.pooler == "" {
		return first
	}
	return m.family.activation(m.linear(p.In(m.family.pooler), first, m.HiddenSize))
}

// Logits returns the masked-LM head's output [..., V] for x [..., d] from Hidden:
// a hidden layer and its norm, and the products with the embeddings of the tokens
// (tied) or a matrix of its own.
func (m Model) Logits(p nn.Params, x *Node) *Node {
	f, act := m.family, m.family.lmActivation
	if act == "" {
		act = m.HiddenAct
	}
	x = m.normalize(p.In(f.transformNorm), activate(act, m.linear(p.In(f.transform), x, m.HiddenSize)))
	owner := p.In(f.decoder)
	if m.TieWordEmbeddings {
		owner = p.In(f.root, wordEmbeddings)
	}
	y := nn.EnterHead(p.In(f.decoder), x, m.table(owner, m.VocabSize), owner.In("weight").Path())
	return nn.AddVector(y, p.In(f.decoderBias).Vector("bias", nn.Zero, m.VocabSize))
}
