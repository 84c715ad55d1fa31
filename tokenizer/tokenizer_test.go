package tokenizer

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dlclark/regexp2/v2"
	"pgregory.net/rapid"
)

// hard is text on which tokenizers go wrong.
var hard = []string{
	"", " ", "  ", "\t\tx", "a  b", "a \n b", "\r\n\r\n", "I'm we've they'll 's 'S ''re'", "don't", "x = y+1;", "func (r *Reader) Read(p []byte) (n int, err error)\n//",
	"naïve café", "日本語のテキスト", "emoji 👩‍👩‍👧 and 🇩🇪", "\u00a0\u2003 wide", "१२३ ½ Ⅷ", "e\u0301", "\x00\x01\x7f", "trailing  ", "\u0085x\u0085", "a\u200bb", "_id __init__ ___",
	strings.Repeat("=", 300), strings.Repeat(" ", 77) + "x", "1234567890", "３４", "\xff\xfe bad \xc3", "ſ K",
}

// small is a tokenizer that has learnt a little.
func small(t testing.TB) *Tokenizer {
	t.Helper()
	text := strings.Join(hard, "\n") + strings.Repeat("func the reader reads the text that the writer wrote\n\t\treturn nil, err\n", 9)
	tok, err := TrainBPE(slices.Values([]string{text}), 400, []string{"<|endoftext|>", "<|pad|>"})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// Text made of what the expression cares about.
var letters = rapid.StringOf(rapid.SampledFrom([]rune("aZ'stremvld09½ \t\n\r\u00a0\u0085\u2028_-=(é日ǅ\u0301\u200b٣Ⅷ👍ſK")))

// Each expression that is cut by hand, against the expression itself.
func TestSplitIsTheExpressions(t *testing.T) {
	for expr, next := range expressions {
		re := regexp2.MustCompile(expr, regexp2.None)
		same := func(t interface{ Errorf(string, ...any) }, text string) {
			var want []string
			found, err := re.FindAllStringIndex(text, -1)
			for _, m := range found {
				want = append(want, text[m[0]:m[1]])
			}
			if got := wordsOf([]step{{next: next}}, text); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q: %q, want %q, err %v", expr, text, got, want, err)
			}
		}
		for _, text := range hard {
			same(t, text)
		}
		rapid.Check(t, func(t *rapid.T) { same(t, letters.Draw(t, "text")) })
	}
}

// textbook joins as the definition says: of all pairs the first of the list,
// leftmost, again and again.
func textbook(t *byteBPE, word string) []int32 {
	var ids []int32
	for i := range len(word) {
		ids = append(ids, t.bytes[word[i]])
	}
	for {
		at, best := -1, merge{}
		for i := 1; i < len(ids); i++ {
			if m, ok := t.merges.get(pair{ids[i-1], ids[i]}); ok && (at < 0 || m.rank < best.rank) {
				at, best = i-1, m
			}
		}
		if at < 0 {
			return ids
		}
		ids = slices.Replace(ids, at, at+2, best.id)
	}
}

func TestMergeIsTheTextbooks(t *testing.T) {
	tok := small(t)
	check := func(t interface{ Errorf(string, ...any) }, word string) {
		if got, want := tok.model.encode(word, nil), textbook(tok.model.(*byteBPE), word); word != "" && !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", word, got, want)
		}
	}
	for _, word := range hard[1:] {
		check(t, word)
	}
	rapid.Check(t, func(t *rapid.T) { check(t, "a"+letters.Draw(t, "word")) })
}

func TestDecodeGivesBackEveryByte(t *testing.T) {
	tok := small(t)
	for _, text := range hard {
		if got := tok.Decode(tok.Encode(text, nil)); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
	}
}

func TestEncodeAppendsAndDecodeSkips(t *testing.T) {
	tok := small(t)
	eos, ok := tok.EOS()
	if !ok || tok.Decode([]int32{eos}) != "<|endoftext|>" {
		t.Fatalf("end of text is %d, %v", eos, ok)
	}
	ids := tok.Encode("the<|endoftext|> text", []int32{7})
	at := slices.Index(ids, eos)
	if ids[0] != 7 || at < 0 || tok.Decode(ids[1:at]) != "the" || tok.Decode(ids[at+1:]) != " text" {
		t.Errorf("ids %v", ids)
	}
	if got := tok.DecodeText(append(ids[1:], -1, 1<<30)); got != "the text" {
		t.Errorf("without special tokens and ids that are none: %q", got)
	}
	if id, ok := tok.ID("<|pad|>"); !ok || id != 399 {
		t.Errorf("<|pad|> is %d, %v; want 399", id, ok)
	}
	if _, ok := tok.ID("no such token"); ok {
		t.Error("a token that is none has an id")
	}
	if tok.VocabSize() != 400 {
		t.Errorf("vocabulary %d, want 400", tok.VocabSize())
	}
}

// Text of one thing again and again: any step whose time is not linear would
// take minutes.
func TestLongLines(t *testing.T) {
	eachFixture(t, func(t *testing.T, tok *Tokenizer, _ []golden) {
		for _, unit := range []string{" ", "\n ", "a", "'", "1", "<", "▁", "é", "e\u0301", "\u0301", "字", "👍🏽"} {
			tok.Decode(tok.Encode(strings.Repeat(unit, 1<<16/len(unit)), nil))
		}
	})
}

// One word of half a megabyte: a loop over all pairs for each join would take
// minutes.
func TestALongWord(t *testing.T) {
	tok := small(t)
	text := strings.Repeat("the", 1<<19/3)
	if tok.Decode(tok.Encode(text, nil)) != text {
		t.Error("it does not come back")
	}
}

func TestManyEncodeAtOnce(t *testing.T) {
	tok := small(t)
	want := tok.Encode(strings.Join(hard, " "), nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if got := tok.Encode(strings.Join(hard, " "), nil); !slices.Equal(got, want) {
					t.Errorf("another goroutine gets other ids")
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkEncode(b *testing.B) {
	tok := small(b)
	text := strings.Repeat(strings.Join(hard, " "), 20)
	var ids []int32
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		ids = tok.Encode(text, ids[:0])
	}
}
