package tokenizer

import (
	"slices"
	"testing"
)

// One small file of each kind of model, with options that the others lack.
var tinyFiles = []string{
	`{"added_tokens":[{"id":0,"content":"[UNK]","special":true},{"id":5,"content":" x ","lstrip":true,"rstrip":true,"single_word":true,"normalized":true}],
"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},
"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[UNK]","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},
{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"[UNK]":{"id":"[UNK]","ids":[0],"tokens":["[UNK]"]}}},"decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":10,"vocab":{"[UNK]":0,"a":1,"##b":2,"日":3,".":4}}}`,
	`{"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Strip","strip_left":true,"strip_right":true},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":"▁"}]},
"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true},"decoder":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true},
"model":{"type":"Unigram","unk_id":0,"byte_fallback":false,"vocab":[["<unk>",0],["▁",-2],["▁a",-3.5],["a",-4],["ab",-4.25]]}}`,
	`{"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},"pre_tokenizer":null,
"decoder":` + spacesAndBytes + `,
"model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,"vocab":{"<unk>":0,"<0x41>":1,"▁":2,"a":3,"▁a":4,"aa":5},"merges":[["▁","a"],"a a"]}}`,
	`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a a"]}}`,
	`{"added_tokens":[{"id":1,"content":"x"}]}`,
}

// checkText checks what must hold for any text: ids of the vocabulary, whatever
// way it is encoded, and a text back, the same in a stream.
func checkText(t *testing.T, tok *Tokenizer, text string) {
	t.Helper()
	ids := tok.Encode(text, nil)
	if !slices.Equal(tok.Encode(text, []int32{7})[1:], ids) {
		t.Errorf("%q: the ids of a second time differ", text)
	}
	both, types := tok.Pair(ids, tok.EncodeAfter(text, nil))
	if len(types) != len(both) {
		t.Errorf("%q: %d ids of a pair with %d types", text, len(both), len(types))
	}
	for _, id := range slices.Concat(tok.Single(ids, nil), both) {
		if id < 0 || int(id) >= tok.VocabSize() {
			t.Errorf("%q: id %d is not in the vocabulary of %d", text, id, tok.VocabSize())
		}
	}
	checkStream(t, tok, both)
}

func FuzzParse(f *testing.F) {
	f.Add(string(small(f).source), "some text <|endoftext|>")
	for _, file := range tinyFiles {
		f.Add(file, " ab  x a日. \xff")
	}
	f.Fuzz(func(t *testing.T, file, text string) {
		if tok, err := Parse([]byte(file)); err == nil {
			checkText(t, tok, text)
		}
	})
}

func FuzzEncode(f *testing.F) {
	tok := small(f)
	for _, text := range hard {
		f.Add(text)
	}
	for _, text := range []string{"<s>a</s>", "▁▁a ▁", " <extra_id_0> x", "[MASK]a [SEP]", "<0x0A>", "e\u0301\u0323", "ﬁ①ｱﾞ", "\ud7b0\u11a8", "<|im_start|> <think>"} {
		f.Add(text)
	}
	var others []*Tokenizer
	for _, name := range fixtureNames {
		if dir := fixtureDir(name); dir != "" {
			other, err := Open(dir)
			if err != nil {
				f.Fatal(err)
			}
			others = append(others, other)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := tok.Decode(tok.Encode(text, nil)); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
		for _, other := range others {
			checkText(t, other, text)
		}
	})
}
