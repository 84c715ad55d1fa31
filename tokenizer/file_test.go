package tokenizer

import (
	"encoding/json"
	"errors"
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
	added := func(id int, text string) func(map[string]any) {
		return top("added_tokens", []any{map[string]any{"id": id, "content": text}})
	}
	for _, tt := range []struct {
		want   string
		change func(map[string]any)
	}{
		{`no "model"`, top("model", nil)},
		{`model "WordPiece" is not supported`, model("type", "WordPiece")},
		{`model "Unigram"`, func(f map[string]any) { f["model"] = map[string]any{"type": "Unigram", "vocab": []any{}} }},
		{`"byte_fallback"`, model("byte_fallback", true)},
		{`"dropout" 0.1`, model("dropout", 0.1)},
		{`"continuing_subword_prefix" "##"`, model("continuing_subword_prefix", "##")},
		{`"end_of_word_suffix" "</w>"`, model("end_of_word_suffix", "</w>")},
		{`normalizer "NFC" is not supported`, top("normalizer", kind("NFC"))},
		{`pre_tokenizer "Sequence"`, top("pre_tokenizer", kind("Sequence"))},
		{`pre_tokenizer "null"`, top("pre_tokenizer", nil)},
		{`post_processor "TemplateProcessing"`, top("post_processor", kind("TemplateProcessing"))},
		{`decoder "WordPiece"`, top("decoder", kind("WordPiece"))},
		{`decoder "null"`, top("decoder", nil)},
		{`token "!" has id -1, want 0 to`, func(f map[string]any) { object(object(f["model"])["vocab"])["!"] = -1 }},
		{`has id 1000000000`, func(f map[string]any) { object(object(f["model"])["vocab"])["!"] = 1000000000 }},
		{`share id 1`, func(f map[string]any) { object(object(f["model"])["vocab"])["!"] = 1 }},
		{`no token for byte 0x21`, func(f map[string]any) { delete(object(object(f["model"])["vocab"]), "!") }},
		{`stands for no byte`, func(f map[string]any) {
			object(object(f["model"])["vocab"])["a b"] = 0
			delete(object(object(f["model"])["vocab"]), "!")
		}},
		{`field "model.vocab" is a JSON string, want int`, func(f map[string]any) { object(object(f["model"])["vocab"])["!"] = "0" }},
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
	if tok, err = Parse(changed(t, pre("use_regex", false))); err != nil || tok.split("two words") != 9 {
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
	if _, err := Open(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: err = %v", err)
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
			case tt.err == "" && (err != nil || got.eos != tt.want):
				t.Errorf("end of text %v, err %v; want %d", got, err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small(f).source)
	f.Add([]byte(`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a a"]}}`))
	f.Add([]byte(`{"added_tokens":[{"id":1,"content":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := Parse(data)
		if err != nil {
			return
		}
		tok.Decode(tok.Encode("some text <|endoftext|>", nil))
	})
}
