package tokenizer

import "unicode"

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
