package ask

import (
	"math/rand/v2"
	"strings"
	"testing"

	"carillon/tokenizer"
)

// bytewise has a token for each byte.
func bytewise(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.TrainBPE(func(yield func(string) bool) { yield("the bell rings") }, 257, []string{"<|endoftext|>"})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// What a flow gives out, and when.
func TestFlow(t *testing.T) {
	tok := bytewise(t)
	for _, tt := range []struct {
		text  string
		stops []string
		given []string
	}{
		{"héé", nil, []string{"h", "é", "é"}},
		{"a\n\nb", []string{"\n\n"}, []string{"a"}},
		{"a\nb", []string{"\n\n"}, []string{"a", "\nb"}},
		{"aab", []string{"ab"}, []string{"a"}},
		{"a end", []string{" end", "nd"}, []string{"a"}},
		{"a en", []string{" end"}, []string{"a", " en"}},
		{"xabcy", []string{"abcd", "bc"}, []string{"x", "a"}},
		{"no", []string{"é"}, []string{"n", "o"}},
		{"è", []string{"é"}, []string{"è"}},
	} {
		var given []string
		f := &flow{stream: tok.Stream(), stops: tt.stops, said: func(text string) { given = append(given, text) }}
		for _, id := range tok.Encode(tt.text, nil) {
			f.push(id)
		}
		whole := f.finish()
		if got, want := strings.Join(given, "|"), strings.Join(tt.given, "|"); got != want {
			t.Errorf("%q with stops %q: given out %q, want %q", tt.text, tt.stops, got, want)
		}
		if want, _ := before(tt.text, tt.stops); whole != want || strings.Join(given, "") != want {
			t.Errorf("%q with stops %q: %q, want %q", tt.text, tt.stops, whole, want)
		}
	}
}

// Whatever the text and the stops are, what is given out is what stands before the
// first stop to be complete.
func TestFlowIsTheTextBeforeTheFirstStop(t *testing.T) {
	tok, draw := bytewise(t), rand.New(rand.NewPCG(1, 2))
	random := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString([]string{"a", "b", "é"}[draw.IntN(3)])
		}
		return b.String()
	}
	for range 2000 {
		text, stops := random(12), []string{random(1 + draw.IntN(4)), random(1 + draw.IntN(4))}
		f := &flow{stream: tok.Stream(), stops: stops}
		want, found := text, false
		for n := range len(text) {
			if rest, ok := before(text[:n+1], stops); ok && !found {
				want, found = rest, true
			}
		}
		for _, id := range tok.Encode(text, nil) {
			f.push(id)
		}
		if got := f.finish(); got != want || f.ended != found {
			t.Fatalf("%q with stops %q: %q, ended %v; want %q, %v", text, stops, got, f.ended, want, found)
		}
	}
}
