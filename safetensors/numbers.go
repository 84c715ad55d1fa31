package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"

	"carillon/endian"
)

// float32s converts a tensor's elements, exactly.
func (t Info) float32s(dst []float32) error {
	switch t.DType {
	case F32:
		endian.Get(dst, t.data)
	case F16:
		for i := range dst {
			dst[i] = fromHalf(binary.LittleEndian.Uint16(t.data[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(t.data[2*i:])) << 16)
		}
	default:
		return fmt.Errorf("tensor %q is of type %s: want F32, F16 or BF16", t.Name, t.DType)
	}
	return nil
}

// fromHalf widens an IEEE 754 binary16 number.
func fromHalf(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exp {
	case 0: // zero and denormals: frac * 2^-24
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// toHalf rounds to the nearest binary16 number, ties to even. What is too large
// becomes infinite, as in the standard; Write refuses that.
func toHalf(f float32) uint16 {
	b := math.Float32bits(f)
	sign, b := uint16(b>>16)&0x8000, b&0x7fffffff
	switch {
	case b > 0xff<<23: // NaN
		return sign | 0x7e00
	case b >= 0x477ff000: // 65520 and up round to infinity
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: a multiple of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(b))*(1<<24)))
	}
	b += 0xfff + b>>13&1 // round to even at bit 13
	return sign | uint16(b>>13-112<<10)
}

// toBrain rounds to the nearest bfloat16 number, ties to even.
func toBrain(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0xff<<23 {
		return uint16(b>>16) | 0x40 // NaN stays NaN
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// checkFloats says which of the values the type t cannot hold.
func checkFloats(t DType, values []float32) error {
	for i, f := range values {
		if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
			return fmt.Errorf("element %d is %v: only finite numbers are written", i, f)
		}
		if (t == F16 && toHalf(f)&0x7fff == 0x7c00) || (t == BF16 && toBrain(f)&0x7fff == 0x7f80) {
			return fmt.Errorf("element %d is %v, more than %s holds; save it as another type", i, f, t)
		}
	}
	return nil
}

// appendFloats appends values in one of the types that Write writes.
func appendFloats(dst []byte, t DType, values []float32) []byte {
	for _, f := range values {
		switch t {
		case F16:
			dst = binary.LittleEndian.AppendUint16(dst, toHalf(f))
		case BF16:
			dst = binary.LittleEndian.AppendUint16(dst, toBrain(f))
		default:
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(f))
		}
	}
	return dst
}
