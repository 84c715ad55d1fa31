package corpus

import (
	"slices"

	"carillon/tokenizer"
)

// frame is what a tokenizer puts round texts: <s>, [CLS] and [SEP], </s>, or
// nothing. between is for two texts.
type frame struct{ before, between, after []int32 }

// frameOf asks the tokenizer with ids that no vocabulary has.
func frameOf(tok *tokenizer.Tokenizer, two bool) frame {
	const first, second = -1, -2
	if two {
		ids, _ := tok.Pair([]int32{first}, []int32{second})
		a, b := slices.Index(ids, first), slices.Index(ids, second)
		return frame{ids[:a:a], ids[a+1 : b : b], ids[b+1:]}
	}
	ids := tok.Single([]int32{first}, nil)
	a := slices.Index(ids, first)
	return frame{before: ids[:a:a], after: ids[a+1:]}
}

// len returns how many tokens the frame adds.
func (f frame) len() int { return len(f.before) + len(f.between) + len(f.after) }

// put appends one text or two in their frame, and says where the second begins.
func (f frame) put(a, b []int32) (tokens []int32, second int) {
	tokens = make([]int32, 0, f.len()+len(a)+len(b))
	tokens = append(append(append(tokens, f.before...), a...), f.between...)
	return append(append(tokens, b...), f.after...), len(tokens)
}
