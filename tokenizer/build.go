package tokenizer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// maxVocab bounds ids, so that a damaged one does not ask for all memory.
const maxVocab = 1 << 22

// build makes the tokenizer that a file describes, or an error that names the
// first thing in it that this package does not do.
func (f *file) build() (*Tokenizer, error) {
	if f.Model == nil {
		return nil, errors.New(`it has no "model": want BPE, WordPiece or Unigram`)
	}
	size, err := f.size()
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{
		tokens:  make([]token, size),
		ids:     map[string]int32{},
		names:   f.Model.Vocab.ids,
		special: map[string]int32{},
		words:   map[string][]int32{},
	}
	bytes, err := t.setParts(f)
	if err != nil {
		return nil, err
	}
	if err := t.setTokens(f, bytes); err != nil {
		return nil, err
	}
	if t.model, err = newModel(f.Model, bytes); err != nil {
		return nil, err
	}
	t.inParts, _ = t.model.(parted)
	return t, t.around.check(size)
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

// setParts makes the steps before and after the model. bytes says whether the
// model gets bytes, which the file writes in GPT-2's alphabet.
func (t *Tokenizer) setParts(f *file) (bytes bool, err error) {
	if t.normalize, err = newNormalizers(f.Normalizer.as("normalizer")); err != nil {
		return false, err
	}
	if t.steps, bytes, err = newSteps(f.PreTokenizer.as("pre_tokenizer"), f.Model.Type); err != nil {
		return false, err
	}
	if t.around, err = newTemplate(f.PostProcessor.as("post_processor")); err != nil {
		return false, err
	}
	if t.start, err = newDecoder(f.Decoder.as("decoder")); err != nil {
		return false, err
	}
	t.keep = bytes || f.Normalizer.mentions(byteLevel) || f.PreTokenizer.mentions(byteLevel)
	if m := f.Model; m.Type == "BPE" && !t.keep && m.UnkToken == nil && !m.ByteFallback {
		return false, refuse("pre_tokenizer", f.PreTokenizer.name(), byteLevel+`, or a model with "unk_token" or "byte_fallback": characters that it has not would vanish`)
	}
	return bytes, nil
}

// setTokens fills in the table of tokens and the added tokens.
func (t *Tokenizer) setTokens(f *file, bytes bool) error {
	for _, a := range f.AddedTokens {
		if have := t.tokens[a.ID]; have.name != "" && have.name != a.Content {
			return fmt.Errorf("added_tokens: %q and %q share id %d", have.name, a.Content, a.ID)
		}
		if id, ok := f.Model.Vocab.ids[a.Content]; ok && id != a.ID {
			return fmt.Errorf("added_tokens: %q has id %d, in model.vocab %d", a.Content, a.ID, id)
		}
		t.tokens[a.ID] = token{name: a.Content, text: a.Content, special: a.Special, added: true}
		t.ids[a.Content] = int32(a.ID)
	}
	alphabet := f.Decoder != nil && f.Decoder.Type == byteLevel
	if err := t.setVocab(f.Model.Vocab.ids, bytes, alphabet); err != nil {
		return err
	}
	return t.setAdded(f.AddedTokens)
}

// setVocab gives the ids of the vocabulary their names and texts. bytes says
// that all names must be in GPT-2's alphabet; alphabet, that they are turned
// into the bytes they stand for.
func (t *Tokenizer) setVocab(vocab map[string]int, bytes, alphabet bool) error {
	// Sorted, so that of several errors the same is told each time.
	for _, name := range slices.Sorted(maps.Keys(vocab)) {
		id := vocab[name]
		have := &t.tokens[id]
		text, err := fromAlphabet(name)
		switch {
		case have.name != "" && have.name != name:
			return fmt.Errorf("model.vocab: %q and %q share id %d", have.name, name, id)
		case have.added: // it may be written in any runes
			continue
		case err != nil && bytes:
			return fmt.Errorf("model.vocab: token %w", err)
		case err != nil || !alphabet:
			text = name
		default:
			t.ids[text] = int32(id)
		}
		have.name, have.text = name, text
	}
	return nil
}

// setAdded makes the tables of the tokens that are found in text. Those that
// are "normalized" are found in normalized text, in their own normal form. Where
// two have the same, a special one goes first.
func (t *Tokenizer) setAdded(list []fileAdded) error {
	var found [2][]addedToken
	var special, others []fileAdded
	for _, a := range list {
		if a.Special {
			special = append(special, a)
		} else {
			others = append(others, a)
		}
	}
	for _, a := range append(special, others...) {
		pass, text := raw, a.Content
		if a.Normalized {
			pass = normalized
			for _, n := range t.normalize {
				text = n(text, front)
			}
		}
		if text != "" {
			found[pass] = append(found[pass], addedToken{int32(a.ID), text, a.LStrip, a.RStrip, a.SingleWord})
		}
	}
	t.added = [2]matcher{newMatcher(found[raw]), newMatcher(found[normalized])}
	return nil
}
