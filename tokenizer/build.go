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
		split:  gpt2,
		prefix: f.PreTokenizer.option(f.PreTokenizer.AddPrefixSpace),
		eos:    -1,
		words:  map[string][]int32{},
	}
	if !f.PreTokenizer.option(f.PreTokenizer.UseRegex) {
		t.split = whole
	}
	if err := t.setAdded(f.AddedTokens); err != nil {
		return nil, err
	}
	if err := t.setVocab(f.Model.Vocab.ids); err != nil {
		return nil, err
	}
	t.model, err = newModel(f.Model, true)
	return t, err
}

// size returns the number of ids.
func (f *file) size() (int, error) {
	last := -1
	if err := f.Model.Vocab.check(); err != nil {
		return 0, err
	}
	for _, id := range f.Model.Vocab.ids {
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
	return nil
}
