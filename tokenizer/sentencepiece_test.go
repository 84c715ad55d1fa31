package tokenizer

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// spDir makes a folder of a model file and further files.
func spDir(t testing.TB, model []byte, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files = maps.Clone(files)
	if files == nil {
		files = map[string]string{}
	}
	files["tokenizer.model"] = string(model)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "tokenizer.model")
}

// asMaps returns a JSON file as maps; scores as the library reads them.
func asMaps(t testing.TB, data []byte) map[string]any {
	t.Helper()
	var f map[string]any
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	model := f["model"].(map[string]any)
	if _, ok := model["vocab"].([]any); ok {
		var scores struct{ Model fileModel }
		if err := json.Unmarshal(data, &scores); err != nil {
			t.Fatal(err)
		}
		model["vocab"] = scores.Model.Vocab.pieces
	}
	return f
}

// The converted models are, down to each merge and score, what transformers
// made of them.
func TestSentencePieceIsItsTokenizerJSON(t *testing.T) {
	const shared = "../../shared/fixtures/tokenizers/"
	const llama = "../../shared/data/tokenizers/llama2/tokenizer.model" // other people's: not copied
	for _, tt := range []struct{ name, model, config, want string }{
		{"llama2 alone", llama, "", shared + "llama2/tokenizer.json"},
		{"llama2 in the new form", llama, shared + "llama2-nonlegacy/tokenizer_config.json", shared + "llama2-nonlegacy/tokenizer.json"},
		{"t5", "testdata/t5/spiece.model", "testdata/t5/tokenizer_config.json", "testdata/t5/tokenizer.json"},
		{"t5 alone", "testdata/t5/spiece.model", "", "testdata/t5/tokenizer.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			model, err := os.ReadFile(tt.model)
			if err != nil {
				t.Skipf("the model is not here (%v); it is not part of the repository", err)
			}
			files := map[string]string{}
			if tt.config != "" {
				config, err := os.ReadFile(tt.config)
				if err != nil {
					t.Fatal(err)
				}
				files["tokenizer_config.json"] = string(config)
			}
			data, _, err := sentencePieceFile(spDir(t, model, files))
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(tt.want)
			if err != nil {
				t.Fatal(err)
			}
			got := asMaps(t, data)
			for key, want := range asMaps(t, want) {
				if !reflect.DeepEqual(got[key], want) {
					t.Errorf("%s differs: %.300s, want %.300s", key, mustJSON(got[key]), mustJSON(want))
				}
			}
		})
	}
}

// A directory that holds nothing but the model gives the same ids, and knows
// the token that ends a text.
func TestGoldensOfASentencePieceModelAlone(t *testing.T) {
	for _, tt := range []struct{ name, path, as, eos string }{
		{"llama2", "../../shared/data/tokenizers/llama2/tokenizer.model", "tokenizer.model", "</s>"},
		{"t5", "testdata/t5/spiece.model", "spiece.model", "</s>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			model, err := os.ReadFile(tt.path)
			if err != nil {
				t.Skipf("the model is not here (%v); it is not part of the repository", err)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, tt.as), model, 0o644); err != nil {
				t.Fatal(err)
			}
			tok, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if eos, ok := tok.EOS(); !ok || tok.Token(eos) != tt.eos {
				t.Errorf("end of text is %d, %v; want that of %s", eos, ok, tt.eos)
			}
			for _, g := range readLines[golden](t, filepath.Join(fixtureDir(tt.name), "goldens.jsonl")) {
				ids := tok.Encode(g.Text, nil)
				if special := tok.Single(ids, nil); !slices.Equal(ids, g.IDs) || !slices.Equal(special, g.IDsSpecial) {
					t.Errorf("%q: ids %v, with special tokens %v; want %v, %v", g.Text, ids, special, g.IDs, g.IDsSpecial)
				}
				if got, skip := tok.Decode(g.IDsSpecial), tok.DecodeText(g.IDsSpecial); got != g.Decoded || skip != g.DecodedSkip {
					t.Errorf("%q: decoded %q and %q, want %q and %q", g.Text, got, skip, g.Decoded, g.DecodedSkip)
				}
			}
			for _, row := range readLines[struct {
				Text  string  `json:"text"`
				IDs   []int32 `json:"ids"`
				Equal bool    `json:"equal"` // to what the library gives
			}](t, filepath.Join(fixtureDir(tt.name), "sentencepiece.jsonl")) {
				if got := tok.Encode(row.Text, nil); row.Equal && !slices.Equal(got, row.IDs) {
					t.Errorf("%q: ids %v, SentencePiece's own %v", row.Text, got, row.IDs)
				}
			}
		})
	}
}

// spBuild is a model file to be made, by the numbers of its fields.
type spBuild struct {
	pieces              []spPiece
	trainer, normalizer map[protowire.Number]int64
	charsmap            string
}

// bpeBuild and unigramBuild are small models like Llama 2's and T5's.
func bpeBuild() spBuild {
	pieces := []spPiece{{"<unk>", 0, spUnknown}, {"<s>", 0, spControl}, {"</s>", 0, spControl}, {"<mine>", 0, spUser}, {byteToken(0), 0, spByte}}
	for i, text := range []string{"▁a", "ab", "▁ab", "aab", "▁", "a", "b"} {
		pieces = append(pieces, spPiece{text, float32(-i), spNormal})
	}
	return spBuild{pieces: pieces, trainer: map[protowire.Number]int64{3: spBPE}, normalizer: map[protowire.Number]int64{4: 0}}
}

func unigramBuild() spBuild {
	pieces := []spPiece{{"<pad>", 0, spControl}, {"</s>", 0, spControl}, {"<unk>", 0, spUnknown}, {"▁a", -1.5, spNormal}}
	return spBuild{pieces: pieces, trainer: map[protowire.Number]int64{40: 2, 41: -1, 42: 1, 43: 0}}
}

func (b spBuild) bytes() []byte {
	message := func(to []byte, field protowire.Number, content []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), content)
	}
	numbers := func(values map[protowire.Number]int64) (out []byte) {
		for _, n := range slices.Sorted(maps.Keys(values)) {
			out = protowire.AppendVarint(protowire.AppendTag(out, n, protowire.VarintType), uint64(values[n]))
		}
		return out
	}
	var out []byte
	for _, p := range b.pieces {
		piece := message(nil, 1, []byte(p.text))
		piece = protowire.AppendFixed32(protowire.AppendTag(piece, 2, protowire.Fixed32Type), math.Float32bits(p.score))
		piece = append(piece, numbers(map[protowire.Number]int64{3: int64(p.kind)})...)
		out = message(out, 1, piece)
	}
	out = message(out, 2, numbers(b.trainer))
	normalizer := numbers(b.normalizer)
	if b.charsmap != "" {
		normalizer = message(normalizer, 2, []byte(b.charsmap))
	}
	return message(out, 3, normalizer)
}

func TestMergesComeOfScores(t *testing.T) {
	m, err := parseSP(bpeBuild().bytes())
	if err != nil {
		t.Fatal(err)
	}
	// By the score of what they make; for one piece the longer left side first.
	want := [][2]string{{"▁", "a"}, {"a", "b"}, {"▁a", "b"}, {"▁", "ab"}, {"a", "ab"}}
	if got := m.merges(); !reflect.DeepEqual(got, want) {
		t.Errorf("merges %q, want %q", got, want)
	}
}

func TestTheFilesBesideAModelSayHowItIsUsed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		model spBuild
		files map[string]string
		want  []string // in the tokenizer.json
	}{
		{"a user's piece is added, but not special", bpeBuild(), nil, []string{`"added_tokens":[{"content":"<unk>","id":0,`, `{"content":"<mine>","id":3,"lstrip":false,"normalized":false,"rstrip":false,"single_word":false,"special":false}`}},
		{"legacy", bpeBuild(), nil, []string{`"prepend":"▁"`, `"pre_tokenizer":null`, `"single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}]`, `"type":"Strip"`}},
		{"new form", bpeBuild(), map[string]string{"tokenizer_config.json": `{"legacy":false}`}, []string{`"normalizer":null`, `"prepend_scheme":"first","replacement":"▁","split":false`}},
		{"no bos but eos", bpeBuild(), map[string]string{"tokenizer_config.json": `{"add_bos_token":false,"add_eos_token":true,"eos_token":{"content":"<mine>"}}`},
			[]string{`"single":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"<mine>","type_id":0}}]`, `"special_tokens":{"<mine>":{"id":"<mine>","ids":[3]`, `{"Sequence":{"id":"B","type_id":1}}`}},
		{"no prefix", func() spBuild { b := bpeBuild(); b.normalizer[3] = 0; return b }(), map[string]string{"tokenizer_config.json": `{"add_prefix_space":false}`},
			[]string{`"normalizers":[{"content":"▁","pattern":{"String":" "},"type":"Replace"}]`, `"decoders":[{"content":" ","pattern":{"String":"▁"},"type":"Replace"},{"type":"ByteFallback"},{"type":"Fuse"}]`}},
		{"tokens of the configuration", bpeBuild(), map[string]string{"tokenizer_config.json": `{"tokenizer_class":"LlamaTokenizerFast","added_tokens_decoder":{"12":{"content":"<x>","special":true,"lstrip":true},"13":{"content":"<y>"},"5":{"content":"▁a"}}}`},
			[]string{`{"content":"▁a","id":5,`, `{"content":"<x>","id":12,"lstrip":true,"normalized":false,"rstrip":false,"single_word":false,"special":true}`, `{"content":"<y>","id":13,`}},
		{"T5", unigramBuild(), nil, []string{`{"content":"<extra_id_99>","id":4,`, `{"content":"<extra_id_0>","id":103,`, `["▁a",-1.5],["<extra_id_99>",0]`, `"prepend_scheme":"always"`,
			`"pair":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}},{"Sequence":{"id":"B","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}]`, `"unk_id":2`}},
		{"T5 without further tokens, in the new form", unigramBuild(), map[string]string{"config.json": `{"model_type":"mt5"}`, "tokenizer_config.json": `{"extra_ids":0,"legacy":false}`},
			[]string{`["▁a",-1.5]]`, `"prepend_scheme":"first"`}},
		{"a normalizer", func() spBuild { b := unigramBuild(); b.charsmap = "\x01\x02\x03"; return b }(), nil, []string{`{"precompiled_charsmap":"AQID","type":"Precompiled"}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, _, err := sentencePieceFile(spDir(t, tt.model.bytes(), tt.files))
			if err != nil {
				t.Fatal(err)
			}
			var f any
			if err := json.Unmarshal(data, &f); err != nil {
				t.Fatal(err)
			}
			plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(mustJSON(f)))
			for _, want := range tt.want {
				if !strings.Contains(plain, want) {
					t.Errorf("no %s in %s", want, plain)
				}
			}
		})
	}
}

func TestTheModelNamesItsSpecialTokens(t *testing.T) {
	_, names, err := sentencePieceFile(spDir(t, unigramBuild().bytes(), nil))
	if want := map[string]string{"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "<pad>"}; err != nil || !maps.Equal(names, want) {
		t.Errorf("names %v, err %v; want %v", names, err, want)
	}
}

func TestSentencePieceNamesWhatItDoesNotDo(t *testing.T) {
	type files = map[string]string
	config := func(text string) files { return files{"tokenizer_config.json": text} }
	piece := func(p spPiece) func(*spBuild) { return func(b *spBuild) { b.pieces = append(b.pieces, p) } }
	trainer := func(n protowire.Number, v int64) func(*spBuild) { return func(b *spBuild) { b.trainer[n] = v } }
	normalizer := func(n protowire.Number, v int64) func(*spBuild) {
		return func(b *spBuild) { b.normalizer = map[protowire.Number]int64{4: 0, n: v} }
	}
	same := func(*spBuild) {}
	for _, tt := range []struct {
		want   string
		base   func() spBuild
		change func(*spBuild)
		files  files
	}{
		{"model_type 3 (word) is not supported", bpeBuild, trainer(3, 3), nil},
		{"model_type 4 (char)", bpeBuild, trainer(3, 4), nil},
		{"unk_id 1: want the id of a piece of type unknown", bpeBuild, trainer(40, 1), nil},
		{"unk_id -1", bpeBuild, trainer(40, -1), nil},
		{"treat_whitespace_as_suffix", bpeBuild, trainer(24, 1), nil},
		{"byte_fallback", unigramBuild, trainer(35, 1), nil},
		{`pieces[12]: "ab" is pieces[6] already`, bpeBuild, piece(spPiece{"ab", 0, spNormal}), nil},
		{`pieces[12]: piece ""`, bpeBuild, piece(spPiece{"", 0, spNormal}), nil},
		{`want 1 to 4096 bytes of UTF-8`, bpeBuild, piece(spPiece{"\xff", 0, spNormal}), nil},
		{`want 1 to 4096 bytes of UTF-8`, bpeBuild, piece(spPiece{strings.Repeat("a", 4097), 0, spNormal}), nil},
		{`"c" has score NaN`, bpeBuild, piece(spPiece{"c", float32(math.NaN()), spNormal}), nil},
		{`"c": type 5 is not supported`, bpeBuild, piece(spPiece{"c", 0, 5}), nil},
		{"it has 0 pieces", bpeBuild, func(b *spBuild) { b.pieces = nil }, nil},
		{"add_dummy_prefix is false", bpeBuild, normalizer(3, 0), nil},
		{"remove_extra_whitespaces is true: LlamaTokenizer wants false", bpeBuild, normalizer(4, 1), nil},
		{"remove_extra_whitespaces is false: T5Tokenizer wants true", unigramBuild, normalizer(4, 0), nil},
		{"escape_whitespaces", bpeBuild, normalizer(5, 0), nil},
		{"precompiled_charsmap: LlamaTokenizer normalizes nothing", bpeBuild, func(b *spBuild) { b.charsmap = "x" }, nil},
		{"model_type unigram: LlamaTokenizer wants BPE", unigramBuild, same, config(`{"tokenizer_class":"LlamaTokenizer"}`)},
		{`tokenizer_class "XLMRobertaTokenizer" is not supported`, unigramBuild, same, config(`{"tokenizer_class":"XLMRobertaTokenizer"}`)},
		{`model_type "gemma" is not supported`, bpeBuild, same, files{"config.json": `{"model_type":"gemma"}`}},
		{"neither tokenizer_config.json nor config.json", unigramBuild, trainer(41, 0), nil},
		{"added_tokens.json is not supported", bpeBuild, same, files{"added_tokens.json": `{"<x>":12}`}},
		{"extra_ids -1", unigramBuild, same, config(`{"extra_ids":-1}`)},
		{`"<bos>", which goes beside each text, is no special token`, bpeBuild, same, config(`{"bos_token":"<bos>"}`)},
		{`added_tokens_decoder: "<x>" has id 13: want 12, the next`, bpeBuild, same, config(`{"added_tokens_decoder":{"13":{"content":"<x>"}}}`)},
		{`added_tokens_decoder: "<x>" has id 5, which is "▁a"`, bpeBuild, same, config(`{"added_tokens_decoder":{"5":{"content":"<x>"}}}`)},
		{`added_tokens_decoder: "<x>" has id 1, which is "<s>"`, bpeBuild, same, config(`{"added_tokens_decoder":{"1":{"content":"<x>"}}}`)},
		{`added_tokens_decoder: id "x": want a number`, bpeBuild, same, config(`{"added_tokens_decoder":{"x":{"content":"<x>"}}}`)},
		{`tokenizer_config.json: byte 2`, bpeBuild, same, config(`{x}`)},
	} {
		b := tt.base()
		tt.change(&b)
		path := spDir(t, b.bytes(), tt.files)
		_, _, err := sentencePieceFile(path)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), filepath.Dir(path)) {
			t.Errorf("err = %v; want %q and the file", err, tt.want)
		}
	}
}

func TestACutModelIsRefused(t *testing.T) {
	data := bpeBuild().bytes()
	for n := range data {
		if m, err := parseSP(data[:n]); err == nil {
			if _, err := m.file(spConfig{}); err == nil {
				t.Errorf("the first %d of %d bytes are read as a model", n, len(data))
			}
		}
	}
	if _, _, err := sentencePieceFile(filepath.Join(t.TempDir(), "tokenizer.model")); err == nil {
		t.Error("no file is no error")
	}
}

func FuzzSentencePiece(f *testing.F) {
	f.Add(bpeBuild().bytes())
	f.Add(unigramBuild().bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseSP(data)
		if err != nil {
			return
		}
		file, err := m.file(spConfig{})
		if err != nil {
			return
		}
		var written struct{ Model fileModel }
		if err := json.Unmarshal(file.json(), &written); err != nil {
			t.Fatal(err)
		}
		if made, err := newModel(&written.Model, false); err == nil {
			made.encode("ab▁a\xff", nil)
		}
	})
}
