package jinja

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// upper is the upper case of a text, of one character several where the language
// of Unicode has it so (ß).
func upper(text string) string { return cases.Upper(language.Und).String(text) }

// lower is the lower case of a text.
func lower(text string) string { return cases.Lower(language.Und).String(text) }

func capitalize(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	if n == 0 {
		return ""
	}
	return string(unicode.ToTitle(r)) + lower(text[n:])
}

// title begins each word with a capital letter.
func title(text string, inWord func(rune) bool) string {
	inside := false
	return strings.Map(func(r rune) rune {
		began := inside
		inside = inWord(r)
		if began {
			return unicode.ToLower(r)
		}
		return unicode.ToTitle(r)
	}, text)
}

// isWordOnly is what Python's title() takes for the inside of a word; the filter
// title is another thing.
func isWordOnly(r rune) bool { return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) }

// fieldsN cuts at white space into at most n parts; all there are if n < 0. The
// last one keeps what white space it has inside.
func fieldsN(text string, n int) []string {
	var parts []string
	for text = strings.TrimLeftFunc(text, isSpace); text != ""; text = strings.TrimLeftFunc(text, isSpace) {
		end := strings.IndexFunc(text, isSpace)
		if end < 0 || len(parts) == n-1 {
			end = len(text)
		}
		parts = append(parts, text[:end])
		text = text[end:]
	}
	return parts
}

// rfieldsN is fieldsN from the end.
func rfieldsN(text string, n int) []string {
	var parts []string
	for text = strings.TrimRightFunc(text, isSpace); text != ""; text = strings.TrimRightFunc(text, isSpace) {
		begin := strings.LastIndexFunc(text, isSpace)
		if begin < 0 || len(parts) == n-1 {
			parts = append(parts, text)
			break
		}
		_, size := utf8.DecodeRuneInString(text[begin:])
		parts = append(parts, text[begin+size:])
		text = text[:begin]
	}
	slices.Reverse(parts)
	return parts
}

// rsplitN is strings.SplitN from the end.
func rsplitN(text, sep string, n int) []string {
	var parts []string
	for n < 0 || len(parts) < n-1 {
		at := strings.LastIndex(text, sep)
		if at < 0 {
			break
		}
		parts = append(parts, text[at+len(sep):])
		text = text[:at]
	}
	parts = append(parts, text)
	slices.Reverse(parts)
	return parts
}

// lines cuts at the ends of lines, as Python's splitlines does.
func lines(text string) []string {
	const ends = "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029"
	text = strings.ReplaceAll(text, "\r\n", "\n")
	var parts []string
	for text != "" {
		at := strings.IndexAny(text, ends)
		if at < 0 {
			return append(parts, text)
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		parts = append(parts, text[:at])
		text = text[at+size:]
	}
	return parts
}

// runesBefore makes a place in bytes one in characters; -1 stays.
func runesBefore(text string, at int) int64 {
	if at < 0 {
		return -1
	}
	return int64(utf8.RuneCountInString(text[:at]))
}
