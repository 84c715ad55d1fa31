package export

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/checkpoint"
	"carillon/model"
)

// An adapter of ours knows its base by hash and its labels by name, which PEFT has no
// place for; its weights and configuration are as they are without.
func TestAdaptersKnowTheirBaseAndLabels(t *testing.T) {
	base, err := model.HashDir("../model/testdata/bert-cls", model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"lora-bert-cls", "prompt-bert-cls", "seq_bn-bert-cls"} {
		info, tensors, err := Open("testdata/" + dir)
		if err != nil {
			t.Fatal(err)
		}
		plain, noted := filepath.Join(t.TempDir(), "plain"), filepath.Join(t.TempDir(), "noted")
		again, err := infoOf(info.Spec, "../model/testdata/bert-cls")
		if err != nil {
			t.Fatal(err)
		}
		again.Spec.Labels = []string{"bad", "so so", "good"}
		first, err := Adapter(plain, again, tensors)
		if err != nil {
			t.Fatal(err)
		}
		again.BaseSHA256 = hex.EncodeToString(base[:])
		second, err := Adapter(noted, again, tensors)
		if err != nil || first != second {
			t.Fatalf("%s: %s without the note and %s with it, %v", dir, first, second, err)
		}
		if again, err := Adapter(noted, again, tensors); err != nil || again != first {
			t.Errorf("%s: not written a second time: %v", dir, err)
		}
		back, _, err := Open(noted)
		if err != nil || !slices.Equal(back.Spec.Labels, again.Spec.Labels) || back.CheckBase("there", base) != nil {
			t.Errorf("%s: labels %q, %v, %v", dir, back.Spec.Labels, err, back.CheckBase("there", base))
		}
		other := base
		other[0]++
		want := "and there has"
		if err := back.CheckBase("there", other); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: another base: %v", dir, err)
		}
		if err := info.CheckBase("there", other); err != nil {
			t.Errorf("%s: of an adapter of others nobody knows its base's hash, and it says %v", dir, err)
		}
	}
}

// A base with that name, and other weights or another tokenizer, is another base.
func TestAnotherBaseIsRefusedByItsHash(t *testing.T) {
	info, tensors, err := Open("testdata/lora-gpt2")
	if err != nil {
		t.Fatal(err)
	}
	info.BaseSHA256 = strings.Repeat("0", 64)
	dir := filepath.Join(t.TempDir(), "adapter")
	if _, err := Adapter(dir, info, tensors); err != nil {
		t.Fatal(err)
	}
	const want = "it was trained on the base model models/gpt2 with hash 000000000000…, and "
	if _, err := Merge(filepath.Join(t.TempDir(), "merged"), "testdata/gpt2", dir); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("merge: %v", err)
	}
	spec := info.Spec
	spec.InitFrom = dir
	if _, err := Begin(spec, [32]byte{1}, []checkpoint.Param{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("init_from: %v", err)
	}
}

func TestNotesThatAreDamaged(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for text, want := range map[string]string{
		`{"version": 2, "base_sha256": "` + sum + `"}`:                    "version 2; this program reads 1",
		`{"version": 1, "base_sha256": "abc"}`:                            `base_sha256 is "abc"`,
		`{"version": 1, "base_sha256": "` + sum + `", "labels": ["one"]}`: "1 labels for a head of 3",
		`{`: "unexpected end of JSON input",
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("testdata/lora-bert-cls")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, noteFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(dir); err == nil || !strings.Contains(err.Error(), noteFile+": "+want) {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}

func FuzzParseNote(f *testing.F) {
	f.Add([]byte(`{"version":1,"base_sha256":"` + strings.Repeat("ab", 32) + `","labels":["a","b"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := parseNote(b); err == nil && len(n.Base) != 64 {
			t.Errorf("%+v was taken", n)
		}
	})
}
