package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Files write every byte as one visible rune: printable Latin-1 bytes as
// themselves, the others as U+0100 and up in order (a space as "Ġ"). This is
// GPT-2's alphabet.

var (
	runeOfByte [256]rune
	byteOfRune = map[rune]byte{}
	byteOrder  []byte // in the order of their runes, the order of ids in files
)

func init() {
	visible := func(c int) bool {
		return '!' <= c && c <= '~' || 0xA1 <= c && c <= 0xAC || 0xAE <= c
	}
	hidden := rune(0x100)
	for c := range 256 {
		r := rune(c)
		if !visible(c) {
			r = hidden
			hidden++
		}
		runeOfByte[c], byteOfRune[r] = r, byte(c)
	}
	for r := rune(0); len(byteOrder) < 256; r++ {
		if c, ok := byteOfRune[r]; ok {
			byteOrder = append(byteOrder, c)
		}
	}
}

// toAlphabet writes bytes as a file does.
func toAlphabet(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteRune(runeOfByte[text[i]])
	}
	return b.String()
}

// fromAlphabet reads what a file writes.
func fromAlphabet(s string) (string, error) {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		c, ok := byteOfRune[r]
		if !ok || r == utf8.RuneError {
			return "", fmt.Errorf("%q holds %q, which stands for no byte: want byte-level BPE (a space is written %q)", s, r, "Ġ")
		}
		b = append(b, c)
	}
	return string(b), nil
}
