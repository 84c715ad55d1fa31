package checkpoint

import (
	"crypto/sha256"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carillon/endian"
	"carillon/objstore/dir"
)

// docs/format.md is complete enough to read a checkpoint by it alone: a program in another
// language does.
func TestAnotherLanguageReadsACheckpoint(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here to run docs/read_checkpoint.py")
	}
	folder := t.TempDir()
	store, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	w := make([]float32, 3<<20) // two chunks and more, with the moments
	for i := range w {
		w[i] = float32(i) * 0.5
	}
	moments := make([]float32, len(w))
	p := plan{Manifest{
		Job: id, Identity: sumOf([]byte("i")), Step: 7, Size: StateSize(len(w)),
		Params: []Param{{"a", []int{1 << 20}}, {"b", []int{2, 1 << 20}}},
	}, EncodeState(nil, w, moments, moments, 6)}
	p.Digest = sumOf(p.state)
	for i, r := range Ranges(p.Size) {
		p.Chunks = append(p.Chunks, Chunk{i, sumOf(p.state[r.From:r.To]), r.To - r.From})
	}
	mustSave(t, store, term(1), p)

	read := func() (string, error) {
		out, err := exec.Command(python, filepath.Join("..", "docs", "read_checkpoint.py"), folder, string(id)).CombinedOutput()
		return string(out), err
	}
	got, err := read()
	want := fmt.Sprintf("job %s, step 7, 6 updates, state version 1, digest %s\n%x [1048576] a\n%x [2, 1048576] b\n", id, p.Digest,
		sha256.Sum256(endian.View(w[:1<<20])), sha256.Sum256(endian.View(w[1<<20:])))
	if err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	damageChunk(t, store, p)
	if got, err := read(); err == nil || !strings.Contains(got, "is damaged") {
		t.Errorf("a damaged chunk: %v, %s", err, got)
	}
}
