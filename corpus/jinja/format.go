package jinja

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// directive is a place for a value in a format of Python's operator %.
var directive = regexp.MustCompile(`%(?:(\.[0-9]{1,2})?([a-zA-Z])|%|.?)`)

// format puts values into the places of a format: %s, %d, %f, %.2f, %%.
func (s *state) format(text string, values []any) string {
	var b strings.Builder
	for text != "" && s.spend(1) {
		at := directive.FindStringSubmatchIndex(text)
		if at == nil {
			break
		}
		b.WriteString(text[:at[0]])
		place := text[at[0]:at[1]]
		text = text[at[1]:]
		if place == "%%" {
			b.WriteByte('%')
			continue
		}
		if len(values) == 0 {
			s.fail("fewer values than the format has places")
			return ""
		}
		b.WriteString(s.formatOne(place, values[0]))
		values = values[1:]
	}
	b.WriteString(text)
	if len(values) > 0 {
		s.fail("more values than the format has places")
	}
	return s.made(b.String())
}

func (s *state) formatOne(place string, v any) string {
	number, isNumber := asFloat(v)
	switch {
	case place == "%s":
		return s.made(s.str(v))
	case place == "%d" && isNumber:
		return strconv.FormatFloat(math.Trunc(number), 'f', 0, 64)
	case strings.HasSuffix(place, "f") && isNumber:
		digits := 6
		if place != "%f" {
			digits, _ = strconv.Atoi(place[2 : len(place)-1])
		}
		return strconv.FormatFloat(number, 'f', digits, 64)
	}
	s.fail("%s for %s in a format is not known here", place, kindOf(v))
	return ""
}

// formatFilter is format | format(a, b).
func formatFilter(s *state, v any, a args) any {
	if len(a.named) > 0 {
		s.fail("format takes no values by name here")
	}
	return s.format(s.str(v), a.plain)
}
