package tokenizer

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/rangetable"
)

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
