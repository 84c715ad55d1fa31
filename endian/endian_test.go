package endian

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"
)

// On a machine of the other order all is the same, but turned: what it would do is
// done here on turned numbers.
func TestNumbersAreLittleEndian(t *testing.T) {
	floats := []float32{1, -0.5, float32(math.Copysign(0, -1)), math.MaxFloat32, float32(math.NaN())}
	var want []byte
	for _, f := range floats {
		want = binary.LittleEndian.AppendUint32(want, math.Float32bits(f))
	}
	for _, native := range []bool{true, false} {
		t.Run(map[bool]string{true: "native", false: "turned"}[native], func(t *testing.T) {
			if !native {
				little = !little
				defer func() { little = !little }()
				floats = slices.Clone(floats)
				turn(memory(floats))
			}
			buf := make([]byte, len(want)+3)
			Put(buf, floats)
			if !bytes.Equal(buf[:len(want)], want) || !bytes.Equal(buf[len(want):], make([]byte, 3)) {
				t.Errorf("Put wrote %x, want %x and nothing behind it", buf, want)
			}
			if got := View(floats); !bytes.Equal(got, want) {
				t.Errorf("View is %x, want %x", got, want)
			}
			back := make([]float32, len(floats))
			if Get(back, want); !bytes.Equal(memory(back), memory(floats)) {
				t.Errorf("Get gave %x, want %x", memory(back), memory(floats))
			}
		})
	}
}

func TestNothingHasNoBytes(t *testing.T) {
	Put(nil, []int32(nil))
	Get([]float32(nil), nil)
	if got := View([]int32{}); len(got) != 0 {
		t.Errorf("no numbers have the bytes %x", got)
	}
}
