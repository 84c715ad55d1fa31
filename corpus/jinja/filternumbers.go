package jinja

import (
	"math"
	"strconv"
	"strings"
)

func toInt(s *state, v any, a args) any {
	g := a.bind(s, "int", "default")
	switch v := v.(type) {
	case string:
		text := strings.TrimFunc(v, isSpace)
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(f) < 1<<53 {
			return int64(f)
		}
	default:
		if n, ok := asInt(v); ok {
			return n
		}
		if f, ok := asFloat(v); ok && math.Abs(f) < 1<<53 {
			return int64(f)
		}
	}
	if g[0] != (missing{}) {
		return g[0]
	}
	return int64(0)
}

func toFloat(s *state, v any, a args) any {
	g := a.bind(s, "float", "default")
	if f, ok := asFloat(v); ok {
		return f
	}
	if text, ok := v.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimFunc(text, isSpace), 64); err == nil {
			return f
		}
	}
	if g[0] != (missing{}) {
		return g[0]
	}
	return 0.0
}

// round rounds to the nearest, halves to even.
func round(s *state, v any, a args) any {
	g := a.bind(s, "round", "precision", "method")
	digits := s.number("round", g[0], 0)
	if n, ok := v.(int64); ok && digits >= 0 {
		return n
	}
	f := s.aNumber("round", v)
	by := math.Pow(10, float64(digits))
	switch method := s.text("round", g[1], "common"); method {
	case "common":
		text := strconv.FormatFloat(f, 'f', int(min(max(digits, 0), 100)), 64)
		rounded, _ := strconv.ParseFloat(text, 64)
		if digits < 0 {
			rounded = math.RoundToEven(f*by) / by
		}
		return rounded
	case "ceil":
		return math.Ceil(f*by) / by
	case "floor":
		return math.Floor(f*by) / by
	default:
		s.fail("round: method %q, want common, ceil or floor", method)
	}
	return nil
}
