package tokenizer

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/rangetable"
)

// The parts of the tokenizers library go by the Unicode versions that they were
// written with, and so do the ids that models were trained on. Go's own tables
// are those of Unicode 15.

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

// The normalization forms and StripAccents go by Unicode 9, as in the
// tokenizers library: characters that came later stay as they are.

var assigned9 = rangetable.Assigned("9.0.0")

func isNewer9(r rune) bool { return r >= 0x80 && !unicode.Is(assigned9, r) }

// form brings text into a Unicode normalization form (UAX #15). Text that is in
// the form by today's tables is so by the older ones.
func form(f norm.Form) func(string) string {
	return func(text string) string {
		if isASCII(text) || f.IsNormalString(text) {
			return text
		}
		n := strings.IndexFunc(text, isNewer9)
		if n < 0 {
			return f.String(text)
		}
		var b strings.Builder
		for len(text) > 0 { // stretches of old characters and of new ones, in turn
			if n > 0 {
				b.WriteString(f.String(text[:n]))
			}
			text = text[n:]
			n = alike(text, isNewer9)
			b.WriteString(text[:n])
			text = text[n:]
			n = apart(text, isNewer9)
		}
		return b.String()
	}
}

// isMark9 reports whether r was a mark of any kind.
func isMark9(r rune) bool {
	switch r {
	case sharadaSandi: // punctuation then
		return false
	case 0x1cf2, 0x1cf3: // Vedic ardhavisarga: now letters
		return true
	}
	return unicode.Is(unicode.M, r) && unicode.Is(assigned9, r)
}

// Expressions and Digits go by Unicode 16 in the tokenizers library, Go's
// tables by Unicode 15: these are the letters and numbers that have come since.
// A newer Go knows them by itself.
var (
	letters16 = &unicode.RangeTable{
		R16: []unicode.Range16{{Lo: 0x1c89, Hi: 0x1c8a, Stride: 1}, {Lo: 0xa7cb, Hi: 0xa7cd, Stride: 1}, {Lo: 0xa7da, Hi: 0xa7dc, Stride: 1}},
		R32: ranges32(0x105c0, 0x105f3, 0x10d4a, 0x10d65, 0x10d6f, 0x10d85, 0x10ec2, 0x10ec4, 0x11380, 0x11389, 0x1138b, 0x1138b,
			0x1138e, 0x1138e, 0x11390, 0x113b5, 0x113b7, 0x113b7, 0x113d1, 0x113d1, 0x113d3, 0x113d3, 0x11bc0, 0x11be0, 0x13460, 0x143fa,
			0x16100, 0x1611d, 0x16d40, 0x16d6c, 0x18cff, 0x18cff, 0x1e5d0, 0x1e5ed, 0x1e5f0, 0x1e5f0, 0x2ebf0, 0x2ee5d),
	}
	numbers16 = &unicode.RangeTable{
		R32: ranges32(0x10d40, 0x10d49, 0x116d0, 0x116e3, 0x11bf0, 0x11bf9, 0x16130, 0x16139, 0x16d70, 0x16d79, 0x1ccf0, 0x1ccf9, 0x1e5f1, 0x1e5fa),
	}
)

// ranges32 makes ranges of their first and last characters, in turn.
func ranges32(ends ...uint32) (list []unicode.Range32) {
	for i := 0; i < len(ends); i += 2 {
		list = append(list, unicode.Range32{Lo: ends[i], Hi: ends[i+1], Stride: 1})
	}
	return list
}

// isNumber reports whether r is a number of any kind.
func isNumber(r rune) bool { return unicode.IsNumber(r) || r >= 0x10d40 && unicode.Is(numbers16, r) }
