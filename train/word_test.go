package train

import (
	"bytes"
	"testing"

	"carillon/allreduce"
	"carillon/job"
)

func TestWordIsReadAsWritten(t *testing.T) {
	for _, w := range []Word{
		{},
		{Algorithm: allreduce.Ring, Save: true},
		{Algorithm: allreduce.TwoShot, Stop: true},
		{Algorithm: allreduce.FanOut, Save: true, Stop: true, Switch: job.RosterNumber{Incarnation: 7, Count: 1 << 30}},
	} {
		got, err := parseWord(w.encode())
		if err != nil || got != w {
			t.Errorf("%+v came back as %+v, %v", w, got, err)
		}
	}
}

// The bytes of a word are a format: members may run another build.
func TestWordKeepsItsBytes(t *testing.T) {
	w := Word{Algorithm: allreduce.Ring, Save: true, Stop: true, Switch: job.RosterNumber{Incarnation: 2, Count: 0x0304}}
	want := []byte{1, byte(allreduce.Ring), 3, 2, 0, 0, 0, 4, 3, 0, 0}
	if got := w.encode(); !bytes.Equal(got, want) {
		t.Errorf("%+v is % x, want % x", w, got, want)
	}
}

func TestUnknownWordsAreRefused(t *testing.T) {
	good := Word{Algorithm: allreduce.Ring}.encode()
	for name, b := range map[string][]byte{
		"nothing":         nil,
		"cut":             good[:len(good)-1],
		"longer":          append(bytes.Clone(good), 0),
		"another version": append([]byte{2}, good[1:]...),
		"unknown flag":    {1, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		if w, err := parseWord(b); err == nil {
			t.Errorf("%s: got %+v and no error", name, w)
		}
	}
}

func FuzzWord(f *testing.F) {
	f.Add(Word{Algorithm: allreduce.Ring, Stop: true}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if w, err := parseWord(b); err == nil && !bytes.Equal(w.encode(), b) {
			t.Errorf("% x is read as %+v, which is written % x", b, w, w.encode())
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	var s snapshot
	s.take(&State{W: make([]float32, 3), M: make([]float32, 3), V: make([]float32, 3), Updates: 2})
	f.Add(s.data)
	f.Add(s.data[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decodeSnapshot(b, 3)
		if err != nil {
			return
		}
		var again snapshot
		if again.take(&st); !bytes.Equal(again.data, b) {
			t.Errorf("% x is read as a state that is written % x", b, again.data)
		}
	})
}
