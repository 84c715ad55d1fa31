package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// bertNormalizer is what BERT does to text before it is cut: control characters
// go, white space becomes a space, Chinese characters get spaces around them,
// accents go, capitals become small.
// (https://github.com/google-research/bert, tokenization.py)
type bertNormalizer struct {
	clean, chinese, accents, lower bool
}

func newBertNormalizer(p *part) (normalizer, error) {
	var o struct {
		CleanText    *bool `json:"clean_text"`
		Chinese      *bool `json:"handle_chinese_chars"`
		StripAccents *bool `json:"strip_accents"` // null: as lowercase
		Lowercase    *bool `json:"lowercase"`
	}
	if err := p.read(&o); err != nil {
		return nil, err
	}
	lower := isTrue(o.Lowercase, true)
	b := bertNormalizer{isTrue(o.CleanText, true), isTrue(o.Chinese, true), isTrue(o.StripAccents, lower), lower}
	return anywhere(b.normalize), nil
}

// isTrue returns an option, or what it is where the file does not say.
func isTrue(option *bool, otherwise bool) bool {
	if option == nil {
		return otherwise
	}
	return *option
}

func (b bertNormalizer) normalize(text string) string {
	n := b.unchanged(text)
	if n == len(text) {
		return text
	}
	out := make([]byte, n, len(text)+len(text)/8)
	copy(out, text)
	accents := false // whether something is in it that NFD would take apart
	for i := n; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			out = b.appendASCII(out, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		out = b.appendRune(out, r)
		accents = true
	}
	text = string(out)
	if accents && b.accents {
		text = stripNonspacing(plainNormalizers["NFD"](text))
	}
	if accents && b.lower {
		text = lowercase(text)
	}
	return text
}

// unchanged returns how many bytes at the start of text stay as they are.
func (b bertNormalizer) unchanged(text string) int {
	for i := range len(text) {
		c := text[i]
		if c >= utf8.RuneSelf || b.clean && (c < ' ' || c == 0x7f) || b.lower && 'A' <= c && c <= 'Z' {
			return i
		}
	}
	return len(text)
}

func (b bertNormalizer) appendASCII(out []byte, c byte) []byte {
	switch {
	case b.lower && 'A' <= c && c <= 'Z':
		c += 'a' - 'A'
	case !b.clean:
	case '\t' <= c && c <= '\r' && c != '\v' && c != '\f':
		c = ' '
	case c < ' ', c == 0x7f:
		return out
	}
	return append(out, c)
}

func (b bertNormalizer) appendRune(out []byte, r rune) []byte {
	if b.clean {
		switch {
		case r == utf8.RuneError, isControl8(r):
			return out
		case unicode.IsSpace(r):
			return append(out, ' ')
		}
	}
	if b.chinese && isChinese(r) {
		out = append(out, ' ')
		return append(utf8.AppendRune(out, r), ' ')
	}
	return utf8.AppendRune(out, r)
}

// isChinese reports whether r is in a block of CJK ideographs. Kana and Hangul
// are not: they are written with spaces, or so BERT has it.
func isChinese(r rune) bool {
	return 0x4e00 <= r && r <= 0x9fff || 0x3400 <= r && r <= 0x4dbf || 0x20000 <= r && r <= 0x2a6df ||
		0x2a700 <= r && r <= 0x2b73f || 0x2b740 <= r && r <= 0x2b81f || 0x2b920 <= r && r <= 0x2ceaf ||
		0xf900 <= r && r <= 0xfaff || 0x2f800 <= r && r <= 0x2fa1f
}

// stripNonspacing leaves out the marks that take no room of their own.
func stripNonspacing(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf && isNonspacing8(r) {
			return -1
		}
		return r
	}, text)
}
