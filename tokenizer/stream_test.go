package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// streamed returns what a stream gives out for ids, put together, and where one
// piece ends and the next begins.
func streamed(s *Stream, ids []int32) (text string, seams []int) {
	for _, id := range ids {
		text += s.Push(id)
		seams = append(seams, len(text))
	}
	return text + s.Flush(), seams
}

// checkStream checks that ids streamed are the same as decoded at once, and that
// no piece ends inside a character.
func checkStream(t testing.TB, tok *Tokenizer, ids []int32) {
	t.Helper()
	got, seams := streamed(tok.Stream(), ids)
	want := tok.DecodeText(ids)
	if got != want {
		t.Errorf("%v: streamed %q, want %q", ids, got, want)
		return
	}
	start := map[int]bool{len(want): true}
	for at := range want {
		start[at] = true
	}
	for _, at := range seams {
		if !start[at] {
			t.Errorf("%v: a piece of %q ends inside a character, at byte %d", ids, want, at)
		}
	}
}

func TestStreamIsDecodeText(t *testing.T) {
	eachFixture(t, func(t *testing.T, tok *Tokenizer, rows []golden) {
		for _, row := range rows {
			checkStream(t, tok, row.IDs)
			checkStream(t, tok, row.IDsSpecial)
		}
		// Any ids in any order, single bytes and special tokens more often.
		r := rand.New(rand.NewPCG(1, 2))
		for range 2000 {
			ids := make([]int32, r.IntN(12))
			for i := range ids {
				ids[i] = int32(r.IntN([]int{300, tok.VocabSize() + 2}[r.IntN(2)])) - 1
			}
			checkStream(t, tok, ids)
		}
	})
}

func TestStreamGivesCharactersAsSoonAsTheyAreThere(t *testing.T) {
	tok := small(t)
	id := func(c byte) int32 { return tok.ids[string([]byte{c})] }
	s := tok.Stream()
	for i, c := range []byte("a日\xffé") {
		want := map[int]string{0: "a", 3: "日", 4: "\xff", 6: "é"}[i]
		if got := s.Push(id(c)); got != want {
			t.Errorf("byte %d gives %q, want %q", i, got, want)
		}
	}
	if got := s.Push(id(0xe6)); got != "" {
		t.Errorf("a first byte of three gives %q", got)
	}
	if got := s.Flush(); got != "\xe6" {
		t.Errorf("the end gives %q, want the byte that is left", got)
	}
	if got := s.Push(id('b')) + s.Flush(); got != "b" {
		t.Errorf("the next text is %q, want b", got)
	}
}

// What is held back does not grow, except in a run of byte tokens, nor what a
// token costs.
func TestALongStream(t *testing.T) {
	tok := small(t)
	ids := tok.Encode(strings.Repeat("the text 日本\n", 1<<14), nil)
	s := tok.Stream()
	n := 0
	for _, id := range ids {
		n += len(s.Push(id))
		if held := len(s.text); held >= utf8.UTFMax {
			t.Fatalf("%d bytes are held back", held)
		}
	}
	if want := len(tok.DecodeText(ids)); n != want {
		t.Errorf("%d bytes, want %d", n, want)
	}
}

func BenchmarkStream(b *testing.B) {
	tok := small(b)
	ids := tok.Encode(strings.Join(hard, " "), nil)
	s := tok.Stream()
	for b.Loop() {
		for _, id := range ids {
			s.Push(id)
		}
	}
}
