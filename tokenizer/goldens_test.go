package tokenizer

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// fixtureNames are the tokenizers of which the reference's numbers are at hand.
var fixtureNames = []string{"gpt2", "llama3", "qwen2", "bert-uncased", "bert-cased", "t5", "t5-nonlegacy", "llama2", "llama2-nonlegacy"}

// fixtureDir returns a fixture's directory, "" where it is absent: gpt2, llama2
// and llama2-nonlegacy hold other people's vocabularies and are not copied.
func fixtureDir(name string) string {
	for _, dir := range []string{filepath.Join("testdata", name), filepath.Join("../../shared/fixtures/tokenizers", name)} {
		if _, err := os.Stat(filepath.Join(dir, FileName)); err == nil {
			return dir
		}
	}
	return ""
}

// golden is what the reference makes of a text. Decoded is that of IDsSpecial.
type golden struct {
	Text        string   `json:"text"`
	IDs         []int32  `json:"ids"`
	IDsSpecial  []int32  `json:"ids_special"`
	Tokens      []string `json:"tokens"`
	Decoded     string   `json:"decoded"`
	DecodedSkip string   `json:"decoded_skip"`
}

// eachFixture runs a test for each fixture that is here.
func eachFixture(t *testing.T, test func(t *testing.T, tok *Tokenizer, rows []golden)) {
	for _, name := range fixtureNames {
		t.Run(name, func(t *testing.T) {
			dir := fixtureDir(name)
			if dir == "" {
				t.Skipf("the %s vocabulary is not here; it is not part of the repository", name)
			}
			tok, err := openOnce(dir)
			if err != nil {
				t.Fatal(err)
			}
			test(t, tok, readLines[golden](t, filepath.Join(dir, "goldens.jsonl")))
		})
	}
}

// opened are the fixtures that some test has opened. Opening is most of the time
// that the tests take.
var opened = map[string]*Tokenizer{}

func openOnce(dir string) (tok *Tokenizer, err error) {
	if tok = opened[dir]; tok == nil {
		tok, err = Open(dir)
		opened[dir] = tok
	}
	return tok, err
}

// readLines reads a JSON value of each line.
func readLines[T any](t testing.TB, path string) (all []T) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var row T
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, row)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestGoldens(t *testing.T) {
	eachFixture(t, func(t *testing.T, tok *Tokenizer, rows []golden) {
		for _, g := range rows {
			ids := tok.Encode(g.Text, nil)
			if !slices.Equal(ids, g.IDs) {
				t.Errorf("%q: ids %v, want %v", g.Text, ids, g.IDs)
			}
			checkTokens(t, tok, g)
			special := tok.Single(ids, nil)
			if !slices.Equal(special, g.IDsSpecial) {
				t.Errorf("%q: with special tokens %v, want %v", g.Text, special, g.IDsSpecial)
			}
			if got := len(special) - len(ids); got != tok.SpecialTokens(false) {
				t.Errorf("%q: %d special tokens, want %d", g.Text, got, tok.SpecialTokens(false))
			}
			if got := tok.Decode(g.IDsSpecial); got != g.Decoded {
				t.Errorf("%q: decoded %q, want %q", g.Text, got, g.Decoded)
			}
			if got := tok.DecodeText(g.IDsSpecial); got != g.DecodedSkip {
				t.Errorf("%q: decoded without special tokens %q, want %q", g.Text, got, g.DecodedSkip)
			}
		}
	})
}

// checkTokens compares the names of a golden's ids. Of what a Unigram model has
// no token for, the reference shows the text in the name's place.
func checkTokens(t *testing.T, tok *Tokenizer, g golden) {
	t.Helper()
	unknown := int32(none)
	if m, ok := tok.model.(*unigram); ok {
		unknown = m.unknown
	}
	for i, id := range g.IDs {
		_, known := tok.ID(g.Tokens[i])
		if name := tok.Token(id); name != g.Tokens[i] && (id != unknown || known) {
			t.Errorf("%q: token %d is %q, want %q", g.Text, id, name, g.Tokens[i])
		}
	}
}

func TestPairGoldens(t *testing.T) {
	for _, name := range []string{"bert-uncased", "bert-cased", "llama3", "t5"} {
		tok, err := Open(fixtureDir(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range readLines[struct {
			A           string   `json:"a"`
			B           string   `json:"b"`
			Strategy    string   `json:"strategy"`
			MaxLength   int      `json:"max_length"`
			IDs         []int32  `json:"ids"`
			TypeIDs     []int32  `json:"type_ids"`
			SpecialMask []int    `json:"special_tokens_mask"`
			Tokens      []string `json:"tokens"`
			Error       string   `json:"error"`
		}](t, filepath.Join(fixtureDir(name), "pairs.jsonl")) {
			e, err := tok.EncodePair(g.A, g.B, Truncation{MaxLen: g.MaxLength, Strategy: g.Strategy})
			if (err != nil) != (g.Error != "") {
				t.Errorf("%s: %q and %q, %s: err = %v, want %q", name, g.A, g.B, g.Strategy, err, g.Error)
				continue
			}
			if !slices.Equal(e.IDs, g.IDs) || !slices.Equal(e.Types, g.TypeIDs) {
				t.Errorf("%s: %q and %q, %s: %v of types %v, want %v of %v", name, g.A, g.B, g.Strategy, e.IDs, e.Types, g.IDs, g.TypeIDs)
			}
			for i, id := range e.IDs {
				if tok.Token(id) != g.Tokens[i] || g.SpecialMask != nil && e.Special[i] != (g.SpecialMask[i] == 1) {
					t.Errorf("%s: %q and %q, %s: place %d is %q, special %v", name, g.A, g.B, g.Strategy, i, tok.Token(id), e.Special[i])
				}
			}
		}
	}
}
