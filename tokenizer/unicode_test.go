package tokenizer

import "testing"

// What the tokenizers library takes for punctuation, marks and controls in
// BERT's steps; it was compared on every character once.
func TestBERTGoesByUnicode8(t *testing.T) {
	for _, tt := range []struct {
		name string
		is   func(rune) bool
		yes  []rune
		no   []rune
	}{
		{"punctuation", isPunct8, []rune{'!', '、', 0x166D, 0x111C9}, []rune{'a', '$', 0x61D, 0x9FD, 0x1B7D, 0x2E43, 0x11FFF}},
		{"nonspacing mark", isNonspacing8, []rune{0x301, 0x5B0, 0x1734}, []rune{'a', 0x903, 0x7FD, 0x898, 0x1885, 0x1886, 0xA9BD, 0x111C9, 0x1E944}},
		{"control", isControl8, []rune{1, 0x85, 0xAD, 0x200B, 0xE000, 0x10FFFD}, []rune{'a', ' ', 0x890, 0x8E2, 0x110CD, 0x13430}},
	} {
		for _, r := range tt.yes {
			if !tt.is(r) {
				t.Errorf("%U is no %s", r, tt.name)
			}
		}
		for _, r := range tt.no {
			if tt.is(r) {
				t.Errorf("%U is a %s", r, tt.name)
			}
		}
	}
}
