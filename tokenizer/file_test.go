package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// changed returns the file of a small tokenizer with one thing in it changed.
func changed(t testing.TB, change func(f map[string]any)) []byte {
	t.Helper()
	var f map[string]any
	if err := json.Unmarshal(small(t).source, &f); err != nil {
		t.Fatal(err)
	}
	change(f)
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParseNamesWhatItDoesNotDo(t *testing.T) {
	object := func(v any) map[string]any { return v.(map[string]any) }
	model := func(key string, v any) func(map[string]any) {
		return func(f map[string]any) { object(f["model"])[key] = v }
	}
	top := func(key string, v any) func(map[string]any) { return func(f map[string]any) { f[key] = v } }
	kind := func(name string) map[string]any { return map[string]any{"type": name} }
	sequence := func(field string, parts ...any) map[string]any {
		return map[string]any{"type": "Sequence", field: parts}
	}
	slot := func(what, id string) any { return map[string]any{what: map[string]any{"id": id, "type_id": 0}} }
	template := func(slots ...any) map[string]any {
		return map[string]any{"type": "TemplateProcessing", "single": slots, "pair": slots}
	}
	bertProcessing := func(id int) map[string]any {
		return map[string]any{"type": "BertProcessing", "sep": []any{"s", id}, "cls": []any{"c", 1}}
	}
	added := func(id int, text string) func(map[string]any) {
		return top("added_tokens", []any{map[string]any{"id": id, "content": text}})
	}
	for _, tt := range []struct {
		want   string
		change func(map[string]any)
	}{
		{`no "model"`, top("model", nil)},
		{`model "WordLevel" is not supported: want BPE, WordPiece or Unigram`, model("type", "WordLevel")},
		{`option "shiny" is not supported`, model("shiny", true)},
		{`option "shiny" is not supported`, top("shiny", nil)},
		{`option "shiny" is not supported`, top("added_tokens", []any{map[string]any{"id": 1, "content": "x", "shiny": 1}})},
		{`"dropout" 0.1`, model("dropout", 0.1)},
		{`"continuing_subword_prefix" "##"`, model("continuing_subword_prefix", "##")},
		{`"end_of_word_suffix" "</w>"`, model("end_of_word_suffix", "</w>")},
		{`normalizer "Append" is not supported: want NFC`, top("normalizer", kind("Append"))},
		{`normalizer "Append"`, top("normalizer", sequence("normalizers", kind("NFC"), sequence("normalizers", kind("Append"))))},
		{`normalizer "NFC": option "form" is not supported`, top("normalizer", map[string]any{"type": "NFC", "form": 1})},
		{`normalizer "Sequence": want a list of parts "normalizers"`, top("normalizer", kind("Sequence"))},
		{`normalizer "Sequence": null in it`, top("normalizer", sequence("normalizers", nil))},
		{`normalizer "Replace": option "pattern": want {"String"`, top("normalizer", kind("Replace"))},
		{`normalizer "Replace": option "pattern": expression "(": `, top("normalizer", map[string]any{"type": "Replace", "pattern": map[string]any{"Regex": "("}})},
		{`normalizer "Strip": want the options`, top("normalizer", kind("Strip"))},
		{`normalizer "Prepend": option "prepend" is a JSON number, want a string`, top("normalizer", map[string]any{"type": "Prepend", "prepend": 1})},
		{`normalizer "Precompiled": option "precompiled_charsmap": illegal base64`, top("normalizer", map[string]any{"type": "Precompiled", "precompiled_charsmap": "?"})},
		{`normalizer "Precompiled": option "precompiled_charsmap": 3 bytes: cut short`, top("normalizer", map[string]any{"type": "Precompiled", "precompiled_charsmap": "AAAA"})},
		{`a trie of 255 bytes in 2: damaged`, top("normalizer", map[string]any{"type": "Precompiled", "precompiled_charsmap": "/wAAAAAA"})},
		{`want an object with a "type"`, top("normalizer", "NFC")},
		{`pre_tokenizer "UnicodeScripts" is not supported`, top("pre_tokenizer", kind("UnicodeScripts"))},
		{`pre_tokenizer "null" is not supported: want ByteLevel, or a model with "unk_token"`, top("pre_tokenizer", nil)},
		{`pre_tokenizer "ByteLevel": option "regex" is not supported`, top("pre_tokenizer", map[string]any{"type": "ByteLevel", "regex": "x"})},
		{`pre_tokenizer "Split": option "behavior" "" is not supported`, top("pre_tokenizer", kind("Split"))},
		{`pre_tokenizer "Split": option "pattern"`, top("pre_tokenizer", map[string]any{"type": "Split", "behavior": "Isolated"})},
		{`pre_tokenizer "Punctuation": option "behavior" "x"`, top("pre_tokenizer", map[string]any{"type": "Punctuation", "behavior": "x"})},
		{`pre_tokenizer "Metaspace": option "replacement" is ""`, top("pre_tokenizer", kind("Metaspace"))},
		{`pre_tokenizer "Metaspace": option "prepend_scheme" is "x"`, top("pre_tokenizer", map[string]any{"type": "Metaspace", "replacement": "_", "prepend_scheme": "x"})},
		{`post_processor "Other" is not supported`, top("post_processor", kind("Other"))},
		{`post_processor "TemplateProcessing": option "single": it has text A 0 times`, top("post_processor", kind("TemplateProcessing"))},
		{`option "single": special token "[CLS]" is not in "special_tokens"`, top("post_processor", template(slot("SpecialToken", "[CLS]")))},
		{`option "single": place 0: want a "Sequence" A or B`, top("post_processor", template(slot("Sequence", "C")))},
		{`option "pair": it has text A 1 times and text B 0 times: want 1 and 1`, top("post_processor", template(slot("Sequence", "A")))},
		{`want ["token", id]`, top("post_processor", map[string]any{"type": "BertProcessing", "sep": "x"})},
		{`post_processor: id 400 of a special token: want one of the vocabulary, 0 to 399`, top("post_processor", bertProcessing(400))},
		{`post_processor "BertProcessing" is not supported: want one that adds tokens, and there is BertProcessing before it`,
			top("post_processor", sequence("processors", bertProcessing(1), kind(byteLevel), bertProcessing(1)))},
		{`decoder "CTC" is not supported`, top("decoder", kind("CTC"))},
		{`token "!" has id -1, want 0 to`, func(f map[string]any) { object(object(f["model"])["vocab"])["!"] = -1 }},
		{`has id 1000000000`, func(f map[string]any) { object(object(f["model"])["vocab"])["!"] = 1000000000 }},
		{`share id 1`, func(f map[string]any) { object(object(f["model"])["vocab"])["!"] = 1 }},
		{`no token for byte 0x21`, func(f map[string]any) { delete(object(object(f["model"])["vocab"]), "!") }},
		{`stands for no byte`, func(f map[string]any) {
			object(object(f["model"])["vocab"])["a b"] = 0
			delete(object(object(f["model"])["vocab"]), "!")
		}},
		{`field "model.vocab" is a JSON string, want a whole number`, func(f map[string]any) { object(object(f["model"])["vocab"])["!"] = "0" }},
		{`merge 0 needs token "nosuch"`, model("merges", []any{"nosuch e"})},
		{`merge 0 needs token "!!"`, model("merges", []any{[]any{"!", "!"}})},
		{`want two tokens`, model("merges", []any{"a b c"})},
		{`want two tokens`, model("merges", []any{[]any{"a"}})},
		{`added_tokens: "x" with id -3`, added(-3, "x")},
		{`added_tokens: "" with id 3`, added(3, "")},
	} {
		if _, err := Parse(changed(t, tt.change)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("err = %v; want %q", err, tt.want)
		}
	}
}

func TestParseReadsOlderFiles(t *testing.T) {
	tok := small(t)
	old, err := Parse(changed(t, func(f map[string]any) {
		m := f["model"].(map[string]any)
		delete(m, "type") // GPT-2's first file has none
		var merges []any
		for _, pair := range m["merges"].([]any) {
			merges = append(merges, pair.([]any)[0].(string)+" "+pair.([]any)[1].(string))
		}
		m["merges"] = merges
	}))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(hard, " ")
	if got, want := old.Decode(old.Encode(text, nil)), tok.Decode(tok.Encode(text, nil)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOptionsOfTheFile(t *testing.T) {
	pre := func(key string, v bool) func(map[string]any) {
		return func(f map[string]any) { f["pre_tokenizer"].(map[string]any)[key] = v }
	}
	tok, err := Parse(changed(t, pre("add_prefix_space", true)))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Decode(tok.Encode("the", nil)); got != " the" {
		t.Errorf("add_prefix_space: %q", got)
	}
	if tok, err = Parse(changed(t, pre("use_regex", false))); err != nil || len(tok.steps) != 0 {
		t.Errorf("use_regex false: err %v", err)
	}
}

func TestACutFileIsRefused(t *testing.T) {
	data := small(t).source
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	for n := 0; n < len(data)-2; n += 97 {
		if _, err := Parse(data[:n]); err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Fatalf("the first %d of %d bytes: err = %v; want one that says cut short", n, len(data), err)
		}
	}
	os.WriteFile(path, data[:500], 0o644)
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("err = %v; want one that names %s", err, path)
	}
	os.WriteFile(path, []byte(`{"model": ?}`), 0o644)
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "byte 11") {
		t.Errorf("err = %v; want one that names byte 11", err)
	}
}

func TestTheEndOfTextIsFound(t *testing.T) {
	tok := small(t)
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  int32
		err   string
	}{
		{"nowhere", nil, -1, ""},
		{"config", map[string]string{"config.json": `{"eos_token_id": 398}`}, 398, ""},
		{"list", map[string]string{"config.json": `{"eos_token_id": [399, 398]}`}, 399, ""},
		{"null", map[string]string{"config.json": `{"eos_token_id": null}`}, -1, ""},
		{"string", map[string]string{"tokenizer_config.json": `{"eos_token": "<|pad|>"}`, "config.json": `{"eos_token_id": 1}`}, 399, ""},
		{"object", map[string]string{"special_tokens_map.json": `{"eos_token": {"content": "<|pad|>"}}`, "config.json": `{"eos_token_id": 1}`}, 399, ""},
		{"outside", map[string]string{"config.json": `{"eos_token_id": 400}`}, 0, "config.json: eos_token_id 400: want an id of the vocabulary, 0 to 399"},
		{"no id", map[string]string{"config.json": `{"eos_token_id": "x"}`}, 0, "want an id or a list"},
		{"no token", map[string]string{"tokenizer_config.json": `{"eos_token": "<eos>"}`}, 0, `tokenizer_config.json: eos_token "<eos>" is no token of tokenizer.json`},
		{"broken", map[string]string{"config.json": `{"eos`}, 0, "cut short"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			os.WriteFile(filepath.Join(dir, FileName), tok.source, 0o644)
			for name, content := range tt.files {
				os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644)
			}
			got, err := Open(dir)
			switch {
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("err = %v; want %q", err, tt.err)
			case tt.err == "" && err != nil:
				t.Error(err)
			case tt.err == "":
				if id, ok := got.EOS(); ok != (tt.want >= 0) || ok && id != tt.want {
					t.Errorf("end of text %d, %v; want %d", id, ok, tt.want)
				}
			}
		})
	}
}
