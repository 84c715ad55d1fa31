package tokenizer

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// charsmap is SentencePiece's table of replacements: a double-array trie over
// the bytes of what is replaced, whose values are places in a list of
// replacements that each end with a zero byte. A unit of the trie is 32 bits:
// of a leaf the value with the top bit set; of another node the offset of its
// children (bits 10 to 30, in units of 256 if bit 9 is set), whether a value is
// among them (bit 8), and the byte that leads to it (bits 0 to 7).
// (https://github.com/google/sentencepiece, normalizer.cc; darts-clone)
type charsmap struct {
	units []uint32
	texts []byte
	ascii [utf8.RuneSelf]string // what each ASCII character becomes
	moved [utf8.RuneSelf]bool   // and whether that is something else
}

// newPrecompiled replaces text by a charsmap. It goes by what readers see as
// characters (grapheme clusters): one of less than six bytes is looked up
// whole, and where the trie has the start of it that stands for all of it;
// other ones are looked up by character. That is what the tokenizers library
// does; SentencePiece itself takes the longest match.
func newPrecompiled(p *part) (normalizer, error) {
	var o struct {
		Charsmap string `json:"precompiled_charsmap"`
	}
	if err := p.read(&o); err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(o.Charsmap)
	if err != nil {
		return nil, p.wrong(fmt.Errorf("option \"precompiled_charsmap\": %w", err))
	}
	if len(data) == 0 {
		return anywhere(func(text string) string { return text }), nil
	}
	m, err := newCharsmap(data)
	if err != nil {
		return nil, p.wrong(fmt.Errorf("option \"precompiled_charsmap\": %w", err))
	}
	return anywhere(m.normalize), nil
}

// newCharsmap reads the table: the trie's length in bytes, the trie, the texts.
func newCharsmap(data []byte) (*charsmap, error) {
	if len(data) < 4 {
		return nil, fmt.Errorf("%d bytes: cut short", len(data))
	}
	size, data := int64(binary.LittleEndian.Uint32(data)), data[4:]
	if size%4 != 0 || size == 0 || size > int64(len(data)) {
		return nil, fmt.Errorf("a trie of %d bytes in %d: damaged", size, len(data))
	}
	m := &charsmap{units: make([]uint32, size/4), texts: data[size:]}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	if !bytes.HasSuffix(m.texts, []byte{0}) || !utf8.Valid(m.texts) {
		return nil, errors.New("its texts are no UTF-8 that ends with a zero byte: damaged")
	}
	for c := range m.ascii {
		m.ascii[c] = string(rune(c))
		if to, ok := m.find(m.ascii[c]); ok {
			m.moved[c], m.ascii[c] = to != m.ascii[c], to
		}
	}
	return m, nil
}

// find returns the replacement of the shortest start of text that has one.
func (m *charsmap) find(text string) (string, bool) {
	at := m.children(0, m.units[0])
	for i := range len(text) {
		at ^= uint32(text[i])
		if int(at) >= len(m.units) {
			return "", false
		}
		u := m.units[at]
		if u&(1<<31|0xff) != uint32(text[i]) { // a leaf, or another byte's
			return "", false
		}
		at = m.children(at, u)
		if u>>8&1 == 1 {
			return m.text(at)
		}
	}
	return "", false
}

// children returns where the children of a node stand.
func (m *charsmap) children(at, unit uint32) uint32 { return at ^ unit>>10<<(unit&(1<<9)>>6) }

// text returns the replacement whose place is in the leaf at a node's children.
func (m *charsmap) text(at uint32) (string, bool) {
	if int(at) >= len(m.units) {
		return "", false
	}
	place := int(m.units[at] &^ (1 << 31))
	if place >= len(m.texts) || !utf8.RuneStart(m.texts[place]) {
		return "", false
	}
	text := m.texts[place:]
	return string(text[:bytes.IndexByte(text, 0)]), true
}

func (m *charsmap) normalize(text string) string {
	n := m.unchanged(text)
	if n == len(text) {
		return text
	}
	out := make([]byte, n, len(text)+len(text)/8)
	copy(out, text)
	for state := -1; n < len(text); {
		if m.alone(text, n) {
			out = append(out, m.ascii[text[n]]...)
			n++
			state = -1
			continue
		}
		var cluster string
		cluster, _, _, state = uniseg.FirstGraphemeClusterInString(text[n:], state)
		n += len(cluster)
		out = m.appendCluster(out, cluster)
	}
	return string(out)
}

// unchanged returns how many bytes at the start of text stay as they are.
func (m *charsmap) unchanged(text string) int {
	n := 0
	for n < len(text) && m.alone(text, n) && !m.moved[text[n]] {
		n++
	}
	return n
}

// alone reports whether text[i] is an ASCII character that no other one joins.
func (m *charsmap) alone(text string, i int) bool {
	if text[i] >= utf8.RuneSelf {
		return false
	}
	if i+1 == len(text) {
		return true
	}
	return text[i+1] < utf8.RuneSelf && text[i] != '\r'
}

func (m *charsmap) appendCluster(out []byte, cluster string) []byte {
	if len(cluster) < 6 {
		if to, ok := m.find(cluster); ok {
			return append(out, to...)
		}
	}
	for i, r := range cluster {
		c := cluster[i : i+utf8.RuneLen(r)]
		if to, ok := m.find(c); ok {
			c = to
		}
		out = append(out, c...)
	}
	return out
}
