package tokenizer

import (
	"strings"
	"testing"
)

const spacesAndBytes = `{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},` +
	`{"type":"Strip","content":" ","start":1,"stop":0}]}`

// decoderOf makes the decoder that a file's JSON says.
func decoderOf(text string) (startDecoder, error) {
	if text == "" {
		return newDecoder(nil)
	}
	p, err := newPart("decoder", text)
	if err != nil {
		return nil, err
	}
	return newDecoder(p)
}

// What the tokenizers library (0.22.2) makes of the same pieces.
func TestDecoders(t *testing.T) {
	fused := func(start, stop string) string {
		return `{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Strip","content":" ","start":` + start + `,"stop":` + stop + `}]}`
	}
	for _, tt := range []struct{ decoder, pieces, want string }{
		{"", "a|b|c", "a b c"},
		{"", "", ""},
		{`{"type":"ByteLevel"}`, "a| b|\xe4\xb8", "a b\xe4\xb8"},
		{`{"type":"Sequence","decoders":[{"type":"ByteLevel","use_regex":true}]}`, "Ġa|Ċ|æĹ¥|a b", " a\n日a b"},
		{`{"type":"Sequence","decoders":[]}`, "a|b", "ab"},
		{`{"type":"WordPiece","prefix":"##","cleanup":true}`, "##it|is|n't|##ing|.|'s|do not|[SEP]", "##it isn'ting.'s don't [SEP]"},
		{`{"type":"WordPiece","prefix":"##","cleanup":false}`, "it|##s|.|##", "its ."},
		{`{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}`, "▁▁a▁b|▁c|▁", "ab c "},
		{`{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}`, "a|▁b", "a b"},
		{`{"type":"Metaspace","replacement":"▁","prepend_scheme":"never"}`, "▁▁a|▁c", "  a c"},
		{`{"type":"BPEDecoder","suffix":"</w>"}`, "a|b</w>|c</w>", "ab c"},
		{`{"type":"BPEDecoder"}`, "", ""},
		{spacesAndBytes, "▁▁|the|<0x0A>|<0xE6>|<0x97>|<0xA5>|▁x", " the\n日 x"},
		{spacesAndBytes, "<0x20>|<0x20>|a", " a"},
		{spacesAndBytes, "a|<0xE6>|<0x97>|<0xA5>|<0xFF>|b|<0xE6>", "a\uFFFD\uFFFD\uFFFD\uFFFDb\uFFFD"},
		{spacesAndBytes, "<0x0G>|<0x1>|<0x0A>", "<0x0G><0x1>\n"},
		{`{"type":"Sequence","decoders":[{"type":"Strip","content":" ","start":1,"stop":1}]}`, "  a  | b|c ", " a bc"},
		{fused("2", "0"), " |  a| b", " a b"},
		{fused("0", "2"), "a |  | | |b  | ", "a     b "},
		{fused("1", "1"), " | a| |  ", " a  "},
	} {
		start, err := decoderOf(tt.decoder)
		if err != nil {
			t.Errorf("%s: %v", tt.decoder, err)
			continue
		}
		for range 2 { // a decoder starts anew each time
			var got strings.Builder
			d := start(func(text string) { got.WriteString(text) })
			for piece := range strings.SplitSeq(tt.pieces, "|") {
				if tt.pieces != "" {
					d.push(piece)
				}
			}
			d.end()
			if got.String() != tt.want {
				t.Errorf("%s: %q is %q, want %q", tt.decoder, tt.pieces, got.String(), tt.want)
			}
		}
	}
}

func TestDecodersAreRefusedByName(t *testing.T) {
	for _, tt := range []struct{ decoder, want string }{
		{`{"type":"CTC","pad_token":"<pad>"}`, `decoder "CTC" is not supported`},
		{`{"type":"WordPiece","prefix":"##","cleanup":true,"smart":1}`, `smart`},
		{`{"type":"ByteFallback","x":1}`, `"ByteFallback": option`},
		{`{"type":"Strip","content":"ab","start":1,"stop":0}`, `decoder "Strip": content "ab"`},
		{`{"type":"Strip","content":" ","start":-1,"stop":0}`, `start -1`},
		{`{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"ByteFallback"}]}`, `decoder "ByteFallback" is not supported: want nothing but Strip and Fuse`},
		{`{"type":"Sequence","decoders":[{"type":"Sequence","decoders":[{"type":"CTC"}]}]}`, `decoder "CTC"`},
		{`{"type":"Sequence","decoders":[null]}`, `decoder "Sequence": null`},
	} {
		if _, err := decoderOf(tt.decoder); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: err = %v; want %q", tt.decoder, err, tt.want)
		}
	}
}
