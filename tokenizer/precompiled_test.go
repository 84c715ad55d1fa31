package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"testing"
	"unicode/utf8"
)

// charsmapOfT5 returns the table of the T5 fixture's normalizer.
func charsmapOfT5(t testing.TB) []byte {
	t.Helper()
	var f struct {
		Normalizer struct {
			Normalizers []struct {
				Charsmap []byte `json:"precompiled_charsmap"` // base64
			} `json:"normalizers"`
		} `json:"normalizer"`
	}
	data, err := os.ReadFile("testdata/t5/" + FileName)
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f.Normalizer.Normalizers[0].Charsmap
}

// The tokenizers library takes the replacement of a character's shortest start
// for all of it: the last row loses an accent.
func TestCharsmapGoesByCharacter(t *testing.T) {
	m, err := newCharsmap(charsmapOfT5(t))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":              "",
		"plain":         "plain",
		"a\tb\nc":       "a b c",
		"\r\n":          " ",
		"ﬁ①ｱ":           "fi1ア",
		"e\u0301":       "é",
		"\u200b\ufeff":  "  ",
		"x\x01y":        "xy",
		"e\u0323\u0302": "ẹ",
	} {
		if got := m.normalize(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func FuzzCharsmap(f *testing.F) {
	small, _ := base64.StdEncoding.DecodeString("CAAAAAAEAAAAAAAAYQA=")
	f.Add(small, "some text")
	f.Add([]byte("\x04\x00\x00\x00\xff\xff\xff\xffa\x00"), "é①")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		m, err := newCharsmap(data)
		if err != nil || !utf8.ValidString(text) {
			return
		}
		if got := m.normalize(text); !utf8.ValidString(got) {
			t.Errorf("%q becomes %q, which is no UTF-8", text, got)
		}
	})
}
