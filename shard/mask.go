package shard

import (
	"fmt"

	"carillon/job"
)

// Masking says how words of a text are hidden so that they can be asked for, as
// BERT was trained (Devlin et al. 2019, section 3.1): of the tokens that may be
// asked for a share is chosen; of those that are, 80 % become Token, 10 % become
// any token, and 10 % stay as they are, since no text that the model is asked of
// later has a hidden token.
type Masking struct {
	Share float64 // in (0, 1]
	Token int32   // the id that hides another, [MASK]
	Vocab int     // any token is one of [0, Vocab)
}

// The parts of what is chosen; the rest stays.
const (
	hidden   = 0.8
	replaced = 0.1
)

// Apply draws by a key. labels, one for each token, are the tokens themselves
// where one may be asked for, and become Ignore where none is. Where chance would
// choose none the one is chosen that came nearest: an example that asks for nothing
// teaches nothing.
func (m Masking) Apply(key job.Key, tokens, labels []int32) {
	nearest := m.nearest(key, labels)
	for i := range labels {
		if labels[i] == Ignore {
			continue
		}
		if at := uint64(i) * draws; i == nearest || float64(key.Uniform(at)) < m.Share {
			tokens[i] = m.shown(key, at, tokens[i])
		} else {
			labels[i] = Ignore
		}
	}
}

// draws is how many places of the mixer a token has: whether it is chosen, what
// becomes of it, and two for which token takes its place.
const draws = 4

// nearest returns the token whose draw is the lowest of those that may be asked
// for, the first of several; -1 if there is none.
func (m Masking) nearest(key job.Key, labels []int32) int {
	best, lowest := -1, uint32(0)
	for i, label := range labels {
		if label == Ignore {
			continue
		}
		if draw := key.At(uint64(i) * draws); best < 0 || draw < lowest {
			best, lowest = i, draw
		}
	}
	return best
}

// shown returns what stands in the place of a token that is asked for, whose draws
// begin at a place of the mixer.
func (m Masking) shown(key job.Key, at uint64, token int32) int32 {
	switch u := key.Uniform(at + 1); {
	case u < hidden:
		return m.Token
	case u < hidden+replaced:
		return int32(below(m.Vocab, key.At(at+2), key.At(at+3)))
	}
	return token
}

// MaskKey is the key of what is hidden of the training example at a position of a
// job: another one each time that the example comes.
func MaskKey(seed, position uint64) job.Key { return job.NewKey(seed, job.ForMasking, position) }

// HeldOutMaskKey is the key of what is hidden of a held-out example: it follows
// from the tokens alone (FNV-1a, 64 bits), so that all jobs are asked the same.
func HeldOutMaskKey(tokens []int32) job.Key {
	hash := uint64(0xcbf29ce484222325)
	for _, id := range tokens {
		hash = (hash ^ uint64(uint32(id))) * 0x100000001b3
	}
	return job.NewKey(0, job.ForHeldOutMasking, hash)
}

// mask hides tokens of a batch's row by a key. Tasks other than MaskedLM hide none.
func (s *Set) mask(b *Batch, row int, p Plan, key job.Key) {
	at := row * b.Len
	m := Masking{Share: p.MaskShare, Token: s.layout.info.Blank, Vocab: s.layout.info.Vocab}
	m.Apply(key, b.Tokens[at:at+b.Len], b.Labels[at:at+b.Len])
}

// checkMasking is Check for what hides tokens.
func (info Info) checkMasking(p Plan) error {
	switch masked := info.Task == MaskedLM; {
	case masked && !(p.MaskShare > 0 && p.MaskShare <= 1):
		return fmt.Errorf("mlm_probability %v: want more than 0, and 1 or less", p.MaskShare)
	case !masked && p.MaskShare != 0:
		return fmt.Errorf("mlm_probability %v: the shard's task is %v, which hides no tokens", p.MaskShare, info.Task)
	case masked && p.TokenDropout > 0:
		return fmt.Errorf("token_dropout %v: the shard's task is %v, which hides tokens itself", p.TokenDropout, info.Task)
	}
	return nil
}

// checkMasked is for examples whose tokens are asked for in their own places.
func (x *Example) checkMasked() error {
	if len(x.Labels) != len(x.Tokens) {
		return fmt.Errorf("%d labels for %d tokens", len(x.Labels), len(x.Tokens))
	}
	asked := false
	for i, label := range x.Labels {
		if label != Ignore && label != x.Tokens[i] {
			return fmt.Errorf("label %d is %d, want %d or the token itself, %d", i, label, Ignore, x.Tokens[i])
		}
		asked = asked || label != Ignore
	}
	if !asked {
		return fmt.Errorf("it has no token that may be asked for: each label is %d", Ignore)
	}
	return nil
}
