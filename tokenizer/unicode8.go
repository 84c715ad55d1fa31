package tokenizer

import (
	"unicode"

	"golang.org/x/text/unicode/rangetable"
)

// BERT's steps go by the categories that Unicode 8 gave to characters, as in
// the tokenizers library: what came later is neither punctuation nor mark nor
// control. Go's tables are newer, and few characters have changed since.

var assigned8 = rangetable.Assigned("8.0.0")

const (
	syllabicsChi = 0x166D  // punctuation then, now a symbol
	hanunooPamu  = 0x1734  // a nonspacing mark then, now a spacing one
	sharadaSandi = 0x111C9 // punctuation then, now a nonspacing mark

	aliGaliBaluda      = 0x1885 // letters then, now nonspacing marks
	aliGaliThreeBaluda = 0x1886
	javaneseKeret      = 0xA9BD // a spacing mark then, now a nonspacing one
)

// isPunct8 reports whether r was punctuation in Unicode 8.
func isPunct8(r rune) bool {
	return unicode.IsPunct(r) && unicode.Is(assigned8, r) || r == syllabicsChi || r == sharadaSandi
}

// isNonspacing8 reports whether r was a mark without room of its own.
func isNonspacing8(r rune) bool {
	switch r {
	case hanunooPamu:
		return true
	case sharadaSandi, aliGaliBaluda, aliGaliThreeBaluda, javaneseKeret: // they became marks without room later
		return false
	}
	return unicode.Is(unicode.Mn, r) && unicode.Is(assigned8, r)
}

// isControl8 reports whether r was a control or format character, or of
// private use.
func isControl8(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) && unicode.Is(assigned8, r)
}
