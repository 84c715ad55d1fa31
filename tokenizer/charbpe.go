package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// charBPE is BPE over characters, as SentencePiece has it: a word's characters
// are tokens to start with. One that is no token becomes a token for each of its
// bytes (byte_fallback), or else the unknown token, one for a run of them
// (fuse_unk), or else nothing.
type charBPE struct {
	ids     map[string]int
	merges  *mergeTable
	bytes   []int32 // by byte, or none; nil without byte_fallback
	unknown int32   // or none
	fuse    bool
	wholes  bool   // a word that is a token is not merged (ignore_merges)
	goesOn  string // put before each character but the word's first (continuing_subword_prefix)
	ends    string // put behind the word's last character (end_of_word_suffix)
	severed bool   // no merge joins anything to a space mark behind it: see first
}

// spaceMark is how SentencePiece writes a space.
const spaceMark = "▁"

func newCharBPE(f *fileModel) (model, error) {
	m := &charBPE{
		ids:    f.Vocab.ids,
		merges: newMergeTable(len(f.Merges)),
		fuse:   f.FuseUnk,
		wholes: f.IgnoreMerges,
		goesOn: orEmpty(f.ContinuingSubwordPrefix),
		ends:   orEmpty(f.EndOfWordSuffix),
	}
	if f.ByteFallback {
		m.bytes = f.byteTokens()
	}
	if err := m.setUnknown(f.UnkToken); err != nil {
		return nil, err
	}
	if err := m.setMerges(f.Merges); err != nil {
		return nil, err
	}
	m.severed = m.severs(f)
	return m, nil
}

func orEmpty(option *string) string {
	if option == nil {
		return ""
	}
	return *option
}

// setUnknown finds the unknown token. It may be missing where it is never
// needed, because each byte is a token.
func (m *charBPE) setUnknown(name *string) error {
	m.unknown = none
	if name == nil {
		return nil
	}
	id, ok := m.ids[*name]
	switch {
	case ok:
		m.unknown = int32(id)
	case m.bytes == nil || slices.Contains(m.bytes, none):
		return fmt.Errorf("model.unk_token: %q is no token of model.vocab", *name)
	}
	return nil
}

// setMerges reads the merges. What a merge makes has the prefix of its second
// token no more.
func (m *charBPE) setMerges(list []fileMerge) error {
	for rank, names := range list {
		tail, ok := strings.CutPrefix(names[1], m.goesOn)
		if !ok {
			return fmt.Errorf("model.merges: merge %d: %q does not start with continuing_subword_prefix %q", rank, names[1], m.goesOn)
		}
		var ids [3]int32
		for i, name := range []string{names[0], names[1], names[0] + tail} {
			id, ok := m.ids[name]
			if !ok {
				return fmt.Errorf("model.merges: merge %d needs token %q, which model.vocab has not", rank, name)
			}
			ids[i] = int32(id)
		}
		m.merges.put(pair{ids[0], ids[1]}, merge{int32(rank), ids[2]})
	}
	return nil
}

// severs reports whether a word may be cut before each space mark that follows
// something else: no merge joins the two sides, nor does anything else look
// across.
func (m *charBPE) severs(f *fileModel) bool {
	if _, ok := m.ids[spaceMark]; !ok || m.wholes || m.goesOn != "" || m.ends != "" || strings.HasSuffix(orEmpty(f.UnkToken), spaceMark) {
		return false
	}
	return !slices.ContainsFunc(f.Merges, func(names fileMerge) bool {
		return !strings.HasSuffix(names[0], spaceMark) && strings.HasPrefix(names[1], spaceMark)
	})
}

// first returns the length of the word's first part whose ids do not depend on
// the rest. Llama 2's text comes as one word; its parts come again.
func (m *charBPE) first(word string) int {
	if !m.severed {
		return len(word)
	}
	marks := 0
	for strings.HasPrefix(word[marks:], spaceMark) {
		marks += len(spaceMark)
	}
	if n := strings.Index(word[marks:], spaceMark); n >= 0 {
		return marks + n
	}
	return len(word)
}

func (m *charBPE) encode(word string, dst []int32) []int32 {
	if id, ok := m.ids[word]; ok && m.wholes {
		return append(dst, int32(id))
	}
	w := newChain(m.merges)
	m.split(word, w)
	return w.joined(dst)
}

// split adds the word's characters to a chain.
func (m *charBPE) split(word string, w *chain) {
	unknown := false // one waits to be added
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRuneInString(word[at:])
		name := m.name(word, at, at+size)
		at += size
		if id, ok := m.ids[name]; ok {
			if unknown {
				w.add(m.unknown)
			}
			unknown = false
			w.add(int32(id))
			continue
		}
		if m.fallBack(name, w) || m.unknown < 0 {
			continue
		}
		if unknown && !m.fuse {
			w.add(m.unknown)
		}
		unknown = true
	}
	if unknown {
		w.add(m.unknown)
	}
}

// name returns the token that the character word[from:to] starts as.
func (m *charBPE) name(word string, from, to int) string {
	name := word[from:to]
	if from > 0 && m.goesOn != "" {
		name = m.goesOn + name
	}
	if to == len(word) && m.ends != "" {
		name += m.ends
	}
	return name
}

// fallBack adds the tokens of a character's bytes, if each has one.
func (m *charBPE) fallBack(name string, w *chain) bool {
	if m.bytes == nil {
		return false
	}
	for i := range len(name) {
		if m.bytes[name[i]] < 0 {
			return false
		}
	}
	for i := range len(name) {
		w.add(m.bytes[name[i]])
	}
	return true
}
