package tokenizer

import (
	"encoding/json"
	"math"
	"strconv"
)

// parseScore reads a score of a Unigram vocabulary with the rounding of the
// tokenizers library: the digits as one whole number, rounded to a float64, by
// or times a power of ten. The last bit may differ from the nearest float64,
// and turns ties between ways to cut a word. It returns false for what is no
// JSON number, or too large for a float64.
func parseScore(text []byte) (float64, bool) {
	var number json.Number
	if json.Unmarshal(text, &number) != nil || number == "" || text[0] == '"' {
		return 0, false
	}
	digits, exponent, rest := wholeNumber(string(number))
	if rest != "" { // after its e
		e, err := strconv.Atoi(rest)
		if err != nil {
			e = math.MaxInt32 // too long for an int
			if rest[0] == '-' {
				e = -e
			}
		}
		exponent += e
	}
	f := scaled(float64(digits), exponent)
	if number[0] == '-' {
		f = -f
	}
	return f, !math.IsInf(f, 0)
}

// wholeNumber returns the digits of a JSON number as a whole number, as many as
// a uint64 holds, the power of ten that it is to be multiplied by, and what
// follows its e.
func wholeNumber(number string) (digits uint64, exponent int, rest string) {
	full, fraction := false, 0
	for i := range len(number) {
		switch c := number[i]; {
		case c == '.':
			fraction = 1
		case c == 'e' || c == 'E':
			return digits, exponent, number[i+1:]
		case c == '-':
		default:
			d := uint64(c - '0')
			full = full || digits > math.MaxUint64/10 || digits == math.MaxUint64/10 && d > math.MaxUint64%10
			if !full {
				digits = digits*10 + d
				exponent -= fraction
			} else if fraction == 0 {
				exponent++
			}
		}
	}
	return digits, exponent, ""
}

// scaled returns f times a power of ten.
func scaled(f float64, exponent int) float64 {
	for exponent < -308 && f != 0 {
		f /= 1e308
		exponent += 308
	}
	switch {
	case f == 0:
		return f
	case exponent > 308:
		return math.Inf(1)
	case exponent >= 0:
		return f * powerOfTen(exponent)
	}
	return f / powerOfTen(-exponent)
}

// powerOfTen returns the float64 nearest to ten to the nth. math.Pow10 is not
// always that.
func powerOfTen(n int) float64 {
	f, _ := strconv.ParseFloat("1e"+strconv.Itoa(n), 64)
	return f
}
