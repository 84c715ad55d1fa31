package tokenizer

import (
	"fmt"
	"maps"
	"slices"
)

// maxVocab bounds ids, so that a damaged one does not ask for all memory.
const maxVocab = 1 << 22

// build makes the tokenizer that a supported file describes.
func (f *file) build() (*Tokenizer, error) {
	size, err := f.size()
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{
		tokens: make([]token, size),
		ids:    make(map[string]int32, size),
		merges: make(map[pair]merge, len(f.Model.Merges)),
		split:  gpt2,
		prefix: f.PreTokenizer.option(f.PreTokenizer.AddPrefixSpace),
		wholes: f.Model.IgnoreMerges,
		eos:    -1,
		words:  map[string][]int32{},
	}
	if !f.PreTokenizer.option(f.PreTokenizer.UseRegex) {
		t.split = whole
	}
	if err := t.setAdded(f.AddedTokens); err != nil {
		return nil, err
	}
	if err := t.setVocab(f.Model.Vocab); err != nil {
		return nil, err
	}
	return t, t.setMerges(f.Model.Merges)
}

// size returns the number of ids.
func (f *file) size() (int, error) {
	last := -1
	for name, id := range f.Model.Vocab {
		if id < 0 || id >= maxVocab {
			return 0, fmt.Errorf("model.vocab: token %q has id %d, want 0 to %d", name, id, maxVocab-1)
		}
		last = max(last, id)
	}
	for _, a := range f.AddedTokens {
		if a.ID < 0 || a.ID >= maxVocab || a.Content == "" {
			return 0, fmt.Errorf("added_tokens: %q with id %d, want some text and 0 to %d", a.Content, a.ID, maxVocab-1)
		}
		last = max(last, a.ID)
	}
	return last + 1, nil
}

func (t *Tokenizer) setAdded(list []fileAdded) error {
	var early, late []addedToken
	for _, a := range list {
		if have := t.tokens[a.ID]; have.text != "" && have.text != a.Content {
			return fmt.Errorf("added_tokens: %q and %q share id %d", have.text, a.Content, a.ID)
		}
		t.tokens[a.ID] = token{text: a.Content, special: a.Special, added: true}
		x := addedToken{int32(a.ID), a.Content, a.LStrip, a.RStrip, a.SingleWord}
		if a.Normalized {
			late = append(late, x)
		} else {
			early = append(early, x)
		}
	}
	t.added = [2]matcher{newMatcher(early), newMatcher(late)}
	return nil
}

func (t *Tokenizer) setVocab(vocab map[string]int) error {
	// Sorted, so that of several errors the same is told each time.
	for _, name := range slices.Sorted(maps.Keys(vocab)) {
		id := vocab[name]
		text, err := fromAlphabet(name)
		have := t.tokens[id]
		switch {
		case have.added && have.text == name: // it may be written in any runes
			if err != nil {
				continue
			}
		case have.text != "":
			return fmt.Errorf("model.vocab: %q and %q share id %d", toAlphabet(have.text), name, id)
		case err != nil:
			return fmt.Errorf("model.vocab: token %w", err)
		default:
			t.tokens[id].text = text
		}
		t.ids[text] = int32(id)
	}
	for c := range 256 {
		id, ok := t.ids[string([]byte{byte(c)})]
		if !ok {
			return fmt.Errorf("model.vocab: no token for byte 0x%02x (%q): want all 256, so that every text has ids", c, runeOfByte[c])
		}
		t.bytes[c] = id
	}
	return nil
}

func (t *Tokenizer) setMerges(list []fileMerge) error {
	for rank, m := range list {
		left, lok := t.named(m[0])
		right, rok := t.named(m[1])
		joined, jok := t.named(m[0] + m[1])
		for i, ok := range []bool{lok, rok, jok} {
			if !ok {
				return fmt.Errorf("model.merges: merge %d needs token %q, which model.vocab has not", rank, []string{m[0], m[1], m[0] + m[1]}[i])
			}
		}
		t.merges[pair{left, right}] = merge{int32(rank), joined}
	}
	return nil
}

// named returns the id of a token as files write it.
func (t *Tokenizer) named(name string) (int32, bool) {
	text, err := fromAlphabet(name)
	if err != nil {
		return 0, false
	}
	id, ok := t.ids[text]
	return id, ok
}
