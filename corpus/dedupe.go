package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// fingerprint names a content. Two contents that share one are taken for the
// same; that they differ has a chance of 2^-128.
type fingerprint [16]byte

func (f fingerprint) String() string { return hex.EncodeToString(f[:]) }

// dropDuplicates counts the examples all of whose fields are those of an earlier
// one of the same part, held out or not, and leaves them out if asked. Stretches
// of a longer text are no examples of their own, and stay.
func (r *Reading) dropDuplicates(leave bool) {
	type content struct {
		fingerprint
		heldOut bool
	}
	seen := map[content]bool{}
	within := false // a text that began before
	r.leaveOut(leave, &r.report.Duplicates, func(x Example) bool {
		stretch := within || x.Continued
		within = x.Continued
		if stretch {
			return false
		}
		c := content{contentOf(x), x.HeldOut}
		again := seen[c]
		seen[c] = true
		return again
	})
	r.report.DuplicatesLeft = leave
}

// dropOverlap counts the training examples whose input, normalised, is that of
// a held-out one, and leaves them out if asked.
func (r *Reading) dropOverlap(leave bool) {
	heldOut := map[fingerprint]bool{}
	for _, x := range r.examples {
		if x.HeldOut {
			heldOut[inputOf(x)] = true
		}
	}
	r.report.OverlapLeft = leave
	if len(heldOut) > 0 {
		r.leaveOut(leave, &r.report.Overlap, func(x Example) bool { return !x.HeldOut && heldOut[inputOf(x)] })
	}
}

// leaveOut counts the examples that are so, and takes them out if asked.
func (r *Reading) leaveOut(leave bool, count *int, so func(Example) bool) {
	var others []Example
	for _, x := range r.examples {
		is := so(x)
		if is {
			*count++
		}
		if !is && leave {
			others = append(others, x)
		}
	}
	if leave {
		r.examples = others
	}
}

// contentOf is the fingerprint of all that an example teaches.
func contentOf(x Example) fingerprint {
	h := sha256.New()
	write(h, x.Kind, x.Text, x.Text2, x.Prompt, x.Completion, x.Label)
	for _, m := range x.Messages {
		write(h, m.Role, m.Content)
	}
	binary.Write(h, binary.LittleEndian, math.Float64bits(x.Value))
	return fingerprint(h.Sum(nil))
}

// inputOf is the fingerprint of what an example shows before it asks, in the
// form NFKC, in lower case and with each white space as one space. Where it
// shows nothing, what it asks for counts.
func inputOf(x Example) fingerprint {
	parts := []string{x.Text, x.Text2, x.Prompt}
	if n := len(x.Messages); n > 0 {
		for _, m := range x.Messages[:n-1] {
			parts = append(parts, m.Role, m.Content)
		}
	}
	if strings.Join(parts, "") == "" {
		parts = append(parts, x.Completion)
	}
	h := sha256.New()
	for _, p := range parts {
		write(h, strings.Join(strings.Fields(strings.ToLower(norm.NFKC.String(p))), " "))
	}
	return fingerprint(h.Sum(nil))
}

// write hashes texts with their lengths, so that none can pass for two.
func write(h hash.Hash, texts ...string) {
	for _, text := range texts {
		binary.Write(h, binary.LittleEndian, uint64(len(text)))
		h.Write([]byte(text))
	}
}
