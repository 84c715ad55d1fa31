package tokenizer

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizer changes a stretch of text before it is cut into words.
type normalizer func(text string, at edge) string

// newNormalizers makes what a file's "normalizer" says, one after the other.
func newNormalizers(p *part) ([]normalizer, error) {
	parts, err := p.flat("normalizers")
	if err != nil {
		return nil, err
	}
	var all []normalizer
	for _, p := range parts {
		n, err := newNormalizer(p)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func newNormalizer(p *part) (normalizer, error) {
	if change, ok := plainNormalizers[p.Type]; ok {
		return anywhere(change), p.read(&struct{}{})
	}
	switch p.Type {
	case "Replace":
		var o replaceOptions
		if err := p.read(&o); err != nil {
			return nil, err
		}
		change, err := newReplacer(o.Pattern, o.Content)
		if err != nil {
			return nil, p.wrong(err)
		}
		return anywhere(change), nil
	case "Prepend":
		return newPrepend(p)
	case "Strip":
		return newStripSpace(p)
	case "BertNormalizer":
		return newBertNormalizer(p)
	case "Precompiled":
		return newPrecompiled(p)
	}
	return nil, p.refuse("NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Nmt, ByteLevel, Replace, Prepend, Strip, BertNormalizer, Precompiled or a Sequence of them")
}

// plainNormalizers are those without options.
var plainNormalizers = map[string]func(string) string{
	"NFC":          form(norm.NFC),
	"NFD":          form(norm.NFD),
	"NFKC":         form(norm.NFKC),
	"NFKD":         form(norm.NFKD),
	"Lowercase":    lowercase,
	"StripAccents": stripAccents,
	"Nmt":          nmt,
	byteLevel:      toAlphabet,
}

// anywhere is a normalizer that does the same wherever a stretch stands.
func anywhere(change func(string) string) normalizer {
	return func(text string, _ edge) string { return change(text) }
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lowercase lowers each character by itself: a final sigma is no exception.
func lowercase(text string) string {
	if strings.Contains(text, "İ") { // the one character that becomes two
		text = strings.ReplaceAll(text, "İ", "i\u0307")
	}
	return strings.ToLower(text)
}

// stripAccents leaves out the marks. It does not take letters apart: NFD stands
// before it in a file.
func stripAccents(text string) string {
	if isASCII(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if isMark9(r) {
			return -1
		}
		return r
	}, text)
}

// nmt is the cleaning of SentencePiece's nmt forms.
func nmt(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, 0x200b <= r && r <= 0x200f,
			r == 0x2028, r == 0x2029, r == 0x2581, r == 0xfeff, r == utf8.RuneError:
			return ' '
		case 0 < r && r < ' ', r == 0x7f, r == 0x8f, r == 0x9f:
			return -1
		}
		return r
	}, text)
}

// newPrepend puts something before text that is not empty.
func newPrepend(p *part) (normalizer, error) {
	var o struct {
		Prepend string `json:"prepend"`
	}
	if err := p.read(&o); err != nil {
		return nil, err
	}
	return func(text string, at edge) string {
		if text == "" || at == joined {
			return text
		}
		return o.Prepend + text
	}, nil
}

// newStripSpace takes white space away at the ends.
func newStripSpace(p *part) (normalizer, error) {
	var o struct {
		Left  *bool `json:"strip_left"`
		Right *bool `json:"strip_right"`
	}
	if err := p.read(&o); err != nil {
		return nil, err
	}
	if o.Left == nil || o.Right == nil {
		return nil, p.wrong(errors.New("want the options \"strip_left\" and \"strip_right\""))
	}
	return anywhere(func(text string) string {
		if *o.Left {
			text = strings.TrimLeftFunc(text, unicode.IsSpace)
		}
		if *o.Right {
			text = strings.TrimRightFunc(text, unicode.IsSpace)
		}
		return text
	}), nil
}
