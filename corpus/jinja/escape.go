package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// simple are the escapes of one letter in a string.
var simple = map[byte]string{
	'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

// hexDigits is how many digits follow the escapes that give a code point.
var hexDigits = map[byte]int{'x': 2, 'u': 4, 'U': 8}

// unescape decodes the escapes of a string as Python does: one that it does not
// know stays as it is.
func unescape(text string) (string, error) {
	if !strings.Contains(text, `\`) {
		return text, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		i++ // the lexer lets no string end in one backslash
		c := text[i]
		if s, ok := simple[c]; ok {
			b.WriteString(s)
		} else if n := hexDigits[c]; n > 0 {
			r, err := codePoint(text[i+1:], n, 16)
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
			i += n
		} else if n := octalDigits(text[i:]); n > 0 {
			r, err := codePoint(text[i:], n, 8)
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
			i += n - 1
		} else if c == 'N' {
			return "", fmt.Errorf(`escape \N in a string: characters by name are not known here`)
		} else {
			b.WriteString(text[i-1 : i+1])
		}
	}
	return b.String(), nil
}

func codePoint(text string, digits, base int) (rune, error) {
	n, err := strconv.ParseUint(text[:min(digits, len(text))], base, 32)
	if err != nil || len(text) < digits || !utf8.ValidRune(rune(n)) {
		return 0, fmt.Errorf("%.8q in a string is no code point of %d digits", text, digits)
	}
	return rune(n), nil
}

func octalDigits(text string) (n int) {
	for n < min(3, len(text)) && text[n] >= '0' && text[n] <= '7' {
		n++
	}
	return n
}
