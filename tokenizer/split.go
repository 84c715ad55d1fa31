package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// whole takes the text as one word.
func whole(text string) int { return len(text) }

// gpt2 cuts as GPT-2's expression does, without an expression's cost:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// A byte that is no UTF-8 counts as a sign, like any other rune that is neither
// letter, number nor space.
func gpt2(text string) int {
	if n := contraction(text); n > 0 {
		return n
	}
	kind, n := kindAt(text)
	if kind == space {
		return spaces(text, n)
	}
	return run(text, n, kind)
}

// kind is a rune's class in GPT-2's expression.
type kind uint8

const (
	sign kind = iota
	letter
	number
	space
)

// kindAt returns the kind and the length of the first rune of text.
func kindAt(text string) (kind, int) {
	c := text[0]
	if c < utf8.RuneSelf {
		return ascii[c], 1
	}
	r, n := utf8.DecodeRuneInString(text)
	return kindOf(r), n
}

func kindOf(r rune) kind {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	case r >= 0x1c89 && unicode.Is(letters16, r):
		return letter
	case r >= 0x10d40 && unicode.Is(numbers16, r):
		return number
	}
	return sign
}

var ascii = func() (table [utf8.RuneSelf]kind) {
	for c := range table {
		table[c] = kindOf(rune(c))
	}
	return
}()

// contraction returns the length of an English ending such as 're, or 0.
func contraction(text string) int {
	if text[0] != '\'' || len(text) < 2 {
		return 0
	}
	switch text[1] {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(text) > 2 {
		switch text[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// run returns the end of the runes of one kind from n on.
func run(text string, n int, k kind) int {
	for n < len(text) {
		next, size := kindAt(text[n:])
		if next != k {
			break
		}
		n += size
	}
	return n
}

// spaces returns the length of the word that starts with a space, whose first
// rune has n bytes. Of several spaces before something else the last goes with
// what follows, or stands alone if it is not an ordinary space.
func spaces(text string, n int) int {
	end, last := n, 0 // last: where the last space of the run starts
	for end < len(text) {
		k, size := kindAt(text[end:])
		if k != space {
			break
		}
		last, end = end, end+size
	}
	switch {
	case end == len(text): // \s+(?!\S)
		return end
	case last > 0: // \s+(?!\S), one space given back
		return last
	case text[0] == ' ': // a single space before something that is not space
		k, size := kindAt(text[1:])
		return run(text, 1+size, k)
	}
	return end // \s+
}
