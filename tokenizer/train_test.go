package tokenizer

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// recount trains as the definition says: count all pairs, join the most
// frequent, begin again.
func recount(texts []string, vocab int) []string {
	words, times := countWords(slices.Values(texts))
	tr := newTrainer(nil, nil)
	var lists [][]int32
	for _, w := range words {
		var ids []int32
		for i := range len(w) {
			ids = append(ids, tr.ids[string(runeOfByte[w[i]])])
		}
		lists = append(lists, ids)
	}
	for len(tr.names) < vocab {
		counts := map[pair]int{}
		for i, ids := range lists {
			for k := 1; k < len(ids); k++ {
				counts[pair{ids[k-1], ids[k]}] += times[i]
			}
		}
		if len(counts) == 0 {
			break
		}
		p := slices.SortedFunc(maps.Keys(counts), func(a, b pair) int {
			return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
		})[0]
		id := tr.name(tr.names[p.left] + tr.names[p.right])
		for i := range lists {
			lists[i] = replace(lists[i], p, id)
		}
	}
	return tr.names
}

func TestTrainingIsTheDefinitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.StringOf(rapid.SampledFrom([]rune("aab b"))), 1, 20).Draw(t, "texts")
		tr := newTrainer(countWords(slices.Values(texts)))
		for len(tr.names) < 290 {
			p, ok := tr.best()
			if !ok {
				break
			}
			tr.join(p)
		}
		if want := recount(texts, 290); !slices.Equal(tr.names, want) {
			t.Errorf("learnt %q, want %q", tr.names[256:], want[256:])
		}
	})
}

func TestTrainingLearnsWhatIsFrequent(t *testing.T) {
	tok, err := TrainBPE(slices.Values([]string{"low low low lower lower newest newest newest newest"}), 256+5, nil)
	if err != nil {
		t.Fatal(err)
	}
	var learnt []string
	for id := 256; id < tok.VocabSize(); id++ {
		learnt = append(learnt, tok.Decode([]int32{int32(id)}))
	}
	// "we" stands there six times, "lo" five.
	if want := []string{"we", "lo"}; !slices.Equal(learnt[:2], want) {
		t.Errorf("learnt %q, want %q first", learnt, want)
	}
}

func TestTrainingFollowsTheTextsNotTheirOrder(t *testing.T) {
	texts := strings.SplitAfter(strings.Repeat("func the reader reads the text that the writer wrote\n\treturn nil, err\n", 3)+strings.Join(hard, "\n"), "\n")
	a, err := TrainBPE(slices.Values(texts), 320, []string{"<|endoftext|>"})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(texts)
	b, err := TrainBPE(slices.Values(texts), 320, []string{"<|endoftext|>"})
	if err != nil {
		t.Fatal(err)
	}
	if string(a.source) != string(b.source) {
		t.Error("the order of the texts changes the tokenizer")
	}
}

func TestTrainingRefuses(t *testing.T) {
	for _, tt := range []struct {
		text    string
		vocab   int
		special []string
		want    string
	}{
		{"some text", 255, nil, "vocabulary 255: want 256"},
		{"some text", 256, []string{"<e>"}, "want 257 (256 bytes and 1 special tokens)"},
		{"some text", 1 << 30, nil, "vocabulary 1073741824"},
		{"ab", 300, nil, "the text has pairs for 257 tokens only"},
		{"", 300, []string{"<e>"}, "pairs for 257 tokens only"},
		{"some text", 258, []string{"<e>", ""}, "want some text"},
	} {
		if _, err := TrainBPE(slices.Values([]string{tt.text}), tt.vocab, tt.special); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q, %d: err = %v; want %q", tt.text, tt.vocab, err, tt.want)
		}
	}
}

func TestWhatIsWrittenOpensAsTheSame(t *testing.T) {
	tok := small(t)
	dir := t.TempDir() + "/new"
	if err := tok.Write(dir); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(hard, "a<|endoftext|>b<|pad|>") {
		if got, want := again.Encode(text, nil), tok.Encode(text, nil); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	a, _ := tok.EOS()
	if b, ok := again.EOS(); !ok || a != b {
		t.Errorf("end of text %d, want %d", b, a)
	}
}
