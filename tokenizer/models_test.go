package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// testdata/models.jsonl holds small random models, rich in ties and unknown
// characters, and the ids that the tokenizers library 0.22.2 gives for random
// words.
type modelCase struct {
	Model fileModel
	Cases []wordCase
}

type wordCase struct {
	word string
	ids  []int32
}

func (c *wordCase) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&c.word, &c.ids})
}

func modelCases(t testing.TB) []modelCase {
	t.Helper()
	data, err := os.ReadFile("testdata/models.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var all []modelCase
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c modelCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func TestModelsGiveTheLibrarysIDs(t *testing.T) {
	for i, c := range modelCases(t) {
		m, err := newModel(&c.Model, false)
		if err != nil {
			t.Errorf("line %d: %v", i+1, err)
			continue
		}
		for _, w := range c.Cases {
			if got := m.encode(w.word, nil); !slices.Equal(got, w.ids) {
				t.Errorf("line %d, %s: %q is %v, want %v", i+1, c.Model.Type, w.word, got, w.ids)
			}
		}
	}
}

// inParts encodes a word as the Tokenizer does: part by part.
func inParts(m *charBPE, word string) (ids []int32, parts int) {
	for len(word) > 0 {
		n := m.first(word)
		ids, word, parts = m.encode(word[:n], ids), word[n:], parts+1
	}
	return ids, parts
}

func TestAWordCutAtSpaceMarksHasTheSameIDs(t *testing.T) {
	cut := 0
	for i, c := range modelCases(t) {
		if c.Model.Type != "BPE" {
			continue
		}
		// Without the merges that join something to a space mark it may be cut.
		safe := c.Model
		safe.Merges = slices.DeleteFunc(slices.Clone(safe.Merges), func(m fileMerge) bool {
			return !strings.HasSuffix(m[0], spaceMark) && strings.HasPrefix(m[1], spaceMark)
		})
		for _, f := range []*fileModel{&c.Model, &safe} {
			m, err := newCharBPE(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range c.Cases {
				got, parts := inParts(m.(*charBPE), w.word)
				if want := m.encode(w.word, nil); !slices.Equal(got, want) {
					t.Errorf("line %d: %q in parts is %v, want %v", i+1, w.word, got, want)
				}
				cut += parts - 1
			}
		}
	}
	if cut < 20 {
		t.Errorf("words were cut at %d places, want more", cut)
	}
}

// model makes a model of its JSON.
func modelOf(t testing.TB, text string) (model, error) {
	t.Helper()
	f := new(fileModel)
	if err := json.Unmarshal([]byte(text), f); err != nil {
		t.Fatal(err)
	}
	return newModel(f, false)
}

func TestModelsNameWhatIsWrong(t *testing.T) {
	for _, tt := range []struct{ model, want string }{
		{`{"type":"WordLevel","vocab":{}}`, `model "WordLevel" is not supported`},
		{`{"type":"WordPiece","vocab":{"a":0},"unk_token":"[UNK]"}`, "WordPiece wants unk_token, continuing_subword_prefix and max_input_chars_per_word"},
		{`{"type":"WordPiece","vocab":{"a":0},"unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":9}`, `model.unk_token: "[UNK]" is no token`},
		{`{"type":"Unigram","vocab":[["a",-1]]}`, "model.unk_id is missing"},
		{`{"type":"Unigram","vocab":[["a",-1]],"unk_id":1}`, "model.unk_id 1: want the place of a piece, 0 to 0"},
		{`{"type":"Unigram","vocab":[["a",-1]],"unk_id":-1}`, "model.unk_id -1"},
		{`{"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1}`, `"dropout" 0.1`},
		{`{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"<unk>"}`, `model.unk_token: "<unk>" is no token`},
		{`{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"<unk>","byte_fallback":true}`, `model.unk_token: "<unk>" is no token`},
		{`{"type":"BPE","vocab":{"a":0,"ab":1},"merges":["a b"]}`, `merge 0 needs token "b"`},
		{`{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}`, `merge 0 needs token "ab"`},
		{`{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"],"continuing_subword_prefix":"##"}`, `"b" does not start with continuing_subword_prefix "##"`},
	} {
		if _, err := modelOf(t, tt.model); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: err = %v; want %q", tt.model, err, tt.want)
		}
	}
}

// Four models of the same few tokens.
var fewTokens = []string{
	`{"type":"WordPiece","unk_token":"?","continuing_subword_prefix":"##","max_input_chars_per_word":9999999,
	  "vocab":{"?":0,"a":1,"b":2,"##a":3,"##b":4,"ab":5,"##ab":6,"##abab":7,"é":8,"##é":9,"##▁":10}}`,
	`{"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":[["?",0],["a",-2],["b",-2],["ab",-3],["abab",-5.5],["é",-4],["▁",-1],["<0x63>",-9],["<0xFF>",-9]]}`,
	`{"type":"BPE","unk_token":"?","fuse_unk":true,"vocab":{"?":0,"a":1,"b":2,"ab":3,"abab":4,"é":5,"▁":6,"▁a":7},"merges":["a b","ab ab","▁ a"]}`,
	`{"type":"BPE","byte_fallback":true,"unk_token":"?","vocab":{"?":0,"a":1,"b":2,"ab":3,"abab":4,"é":5,"▁":6,"▁a":7` + allBytes() + `},"merges":["a b","ab ab","▁ a"]}`,
}

// allBytes writes the 256 byte tokens, from id 8 on.
func allBytes() string {
	var b strings.Builder
	for c := range 256 {
		b.WriteString(`,` + quote(byteToken(c)) + `:` + string(mustJSON(8+c)))
	}
	return b.String()
}

func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

func fewModels(t testing.TB) []model {
	var models []model
	for _, text := range fewTokens {
		m, err := modelOf(t, text)
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	return models
}

// A word of a megabyte: what takes quadratic time would take hours.
func TestModelsTakeAMegabyte(t *testing.T) {
	for i, m := range fewModels(t) {
		for _, unit := range []string{"ab", "z", "aba▁bé日"} {
			n := 1 << 20 / len(unit)
			ids := m.encode(strings.Repeat(unit, n), nil)
			if len(ids) == 0 || len(ids) > n*len(unit) {
				t.Errorf("model %d, %q: %d ids", i, unit, len(ids))
			}
		}
	}
}

// FuzzModels: no word, be it UTF-8 or not, stops a model, and with a token for
// each byte nothing is lost.
func FuzzModels(f *testing.F) {
	models := fewModels(f)
	last := models[len(models)-1].(*charBPE)
	texts := map[int32]string{}
	for name, id := range last.ids {
		texts[int32(id)] = name
	}
	for c := range 256 {
		texts[int32(last.ids[byteToken(c)])] = string([]byte{byte(c)})
	}
	for _, word := range []string{"ab", "aabab▁abé", "\xff\xfe", "é\xc3", "cc日", "▁▁a▁"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if word == "" {
			return
		}
		for _, m := range models {
			for _, id := range m.encode(word, nil) {
				if id < 0 || id > 8+255 {
					t.Errorf("%q: id %d", word, id)
				}
			}
		}
		var back strings.Builder
		ids, _ := inParts(last, word)
		for _, id := range ids {
			back.WriteString(texts[id])
		}
		if back.String() != word {
			t.Errorf("%q comes back as %q", word, back.String())
		}
		if whole := last.encode(word, nil); !slices.Equal(ids, whole) {
			t.Errorf("%q in parts is %v, want %v", word, ids, whole)
		}
	})
}

func TestTrieFindsWhatAMapHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.MapOf(rapid.StringOf(rapid.SampledFrom([]rune("abé日"))), rapid.IntRange(0, 99)).Draw(t, "tokens")
		text := rapid.StringOf(rapid.SampledFrom([]rune("abé日c"))).Draw(t, "text")
		id, size := newTrie(ids).longest(text)
		want := len(text)
		for ; want > 0; want-- {
			if _, ok := ids[text[:want]]; ok {
				break
			}
		}
		if size != want || size > 0 && int(id) != ids[text[:size]] {
			t.Fatalf("%q starts with %q, id %d; want %q", text, text[:size], id, text[:want])
		}
	})
}

func TestAMergeTableHoldsWhatAMapHolds(t *testing.T) {
	ids := rapid.Custom(func(t *rapid.T) pair {
		id := rapid.Int32Range(0, 30)
		return pair{id.Draw(t, "left"), id.Draw(t, "right")}
	})
	rapid.Check(t, func(t *rapid.T) {
		pairs := rapid.SliceOf(ids).Draw(t, "pairs")
		table, want := newMergeTable(len(pairs)), map[pair]merge{}
		for i, p := range pairs {
			want[p] = merge{int32(i), int32(i + 1)}
			table.put(p, want[p])
		}
		for _, p := range append(pairs, ids.Draw(t, "another")) {
			got, ok := table.get(p)
			if w, have := want[p]; ok != have || ok && got != w {
				t.Fatalf("%v is %v, %v; want %v, %v", p, got, ok, w, have)
			}
		}
	})
}

func TestScoresAreRoundedAsTheLibraryDoes(t *testing.T) {
	for _, tt := range []struct {
		text string
		want float64
	}{
		{"0", 0}, {"-17", -17}, {"-2.5e-3", -2.5e-3}, {"1E+5", 1e5}, {"1e-400", 0}, {"0e999", 0}, {"5e-324", 5e-324},
		{"-3.7589101791381836", -3.758910179138184}, // 17 digits are rounded twice
		{"-15.774467468261719", -15.77446746826172},
		{"-10.373565673828125", -10.373565673828123},
		{"18446744073709551616", 18446744073709551616},
		{"123456789012345678901234567890", 123456789012345678901234567890},
		{"-12345678901234567890.123456789", -12345678901234567890.123456789},
	} {
		if got, ok := parseScore([]byte(tt.text)); !ok || got != tt.want {
			t.Errorf("%s is %v, %v; want %v", tt.text, got, ok, tt.want)
		}
	}
	for _, text := range []string{"null", `"1"`, "1e309", "true", "[1]", "1e99999999999999999999"} {
		if got, ok := parseScore([]byte(text)); ok {
			t.Errorf("%s is %v, want no number", text, got)
		}
	}
}
