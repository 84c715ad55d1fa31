package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
)

// tokenizer makes a Tokenizer of what was learnt, by way of the file that
// describes it: what is used is what is written.
func (tr *trainer) tokenizer(special []string) (*Tokenizer, error) {
	t, err := Parse(tr.file(special))
	if err != nil {
		return nil, fmt.Errorf("trained tokenizer: %w", err)
	}
	if len(special) > 0 {
		t.special["eos_token"], _ = t.ID(special[0])
	}
	return t, nil
}

// Write writes tokenizer.json and, if an end of text is known,
// tokenizer_config.json, which names it, to a folder, which it creates. It
// writes what was trained or read, byte for byte.
func (t *Tokenizer) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write tokenizer: %w", err)
	}
	if err := renameio.WriteFile(filepath.Join(dir, FileName), t.source, 0o644); err != nil {
		return fmt.Errorf("write tokenizer: %w", err)
	}
	eos, ok := t.EOS()
	if !ok {
		return nil
	}
	text, _ := json.Marshal(t.Token(eos))
	config := fmt.Sprintf("{\n  \"eos_token\": %s,\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n", text)
	if err := renameio.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(config), 0o644); err != nil {
		return fmt.Errorf("write tokenizer: %w", err)
	}
	return nil
}

// file writes the trained tokenizer as a tokenizer.json.
func (tr *trainer) file(special []string) []byte {
	var b bytes.Buffer
	b.WriteString("{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [")
	for i, s := range special {
		fmt.Fprintf(&b, "%s\n    {\"id\": %d, \"content\": %s, \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}",
			comma(i), len(tr.names)+i, quote(s))
	}
	b.WriteString("\n  ],\n  \"normalizer\": null,\n" +
		"  \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true},\n" +
		"  \"post_processor\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": false, \"use_regex\": true},\n" +
		"  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true},\n" +
		"  \"model\": {\n    \"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null,\n" +
		"    \"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": false,\n    \"vocab\": {")
	for id, name := range slices.Concat(tr.names, special) {
		fmt.Fprintf(&b, "%s\n      %s: %d", comma(id), quote(name), id)
	}
	b.WriteString("\n    },\n    \"merges\": [")
	for i, p := range tr.merges {
		fmt.Fprintf(&b, "%s\n      [%s, %s]", comma(i), quote(tr.names[p.left]), quote(tr.names[p.right]))
	}
	b.WriteString("\n    ]\n  }\n}\n")
	return b.Bytes()
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

// quote writes a JSON string with its letters as they are, not escaped for HTML.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string can always be encoded
	return string(bytes.TrimSpace(b.Bytes()))
}
