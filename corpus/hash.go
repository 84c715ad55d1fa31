package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// Hash names what was read: the examples in their order, with what is held out.
// In which line of which file they stood is not in it.
func (r *Reading) Hash() (sum [sha256.Size]byte) {
	h := sha256.New()
	var b []byte
	for i := range r.examples {
		b = r.examples[i].appendTo(b[:0])
		h.Write(b)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// appendTo appends all of an example but its place; no two have the same bytes.
func (x *Example) appendTo(b []byte) []byte {
	for _, s := range []string{x.Kind, x.Text, x.Text2, x.Prompt, x.Completion, x.Label, x.Group} {
		b = appendText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(x.Messages)))
	for _, m := range x.Messages {
		b = appendText(appendText(b, m.Role), m.Content)
	}
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x.Value))
	return append(b, flag(x.Continued), flag(x.HeldOut))
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
