package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"carillon/backend/backendtest"
	"carillon/safetensors"
)

// published is a checkpoint as it was published, without its numbers.
type published struct {
	Config json.RawMessage
	Files  []string
	Index  json.RawMessage
	Layout []struct {
		Order string
		Pad   int
	} `json:"published"`
	Counts  struct{ Tensors, Elements, Parameters int }
	Copies  map[string]string
	Ignore  []struct{ Names string }
	Classes map[string]struct {
		Used   int
		Unused []string
		New    []string
		Copies []string
	}
	Tensors map[string]struct {
		DType string
		Shape []int
		File  int
	}
}

var widths = map[string]int{"F32": 4, "BF16": 2, "I64": 8}

// The files that people have: each is made as large as it is, of nothing, and every
// tensor is used, a copy, or known by name to be none.
func TestPublishedFilesFitByNameAndShape(t *testing.T) {
	paths, err := filepath.Glob("testdata/headers/*.json")
	if err != nil || len(paths) != 13 {
		t.Fatalf("%d headers of published files (%v), want 13", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			var h published
			if err := json.Unmarshal([]byte(readFile(t, path)), &h); err != nil {
				t.Fatal(err)
			}
			m, err := open(backendtest.Go(t).Compute(), h.write(t), Options{})
			if err != nil {
				t.Fatal(err)
			}
			h.checkTensors(t, m)
			for class := range h.Classes {
				h.checkClass(t, m, class)
			}
		})
	}
}

// write makes the files, with holes in place of numbers.
func (h published) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, data []byte, size int) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, int64(len(data)+size)); err != nil {
			t.Fatal(err)
		}
	}
	lies := map[string]string{}
	for i, name := range h.Files {
		header, size := h.header(i, lies)
		put(name, header, size)
	}
	put("config.json", h.Config, 0)
	if len(h.Files) > 1 {
		index, err := json.Marshal(map[string]any{"metadata": map[string]any{}, "weight_map": lies})
		if err != nil {
			t.Fatal(err)
		}
		put(safetensors.IndexFile, index, 0)
	}
	return dir
}

// header returns a file's length and header, and the bytes of its numbers.
func (h published) header(file int, lies map[string]string) (header []byte, size int) {
	var names []string
	for name, x := range h.Tensors {
		if x.File == file {
			names = append(names, name)
			lies[name] = h.Files[file]
		}
	}
	slices.Sort(names)
	shuffle := func() {
		if h.Layout[file].Order == "random" { // neither by name nor by offset
			rand.New(rand.NewSource(1)).Shuffle(len(names), func(a, b int) { names[a], names[b] = names[b], names[a] })
		}
	}
	shuffle()
	entries := map[string]string{}
	for _, name := range names {
		x := h.Tensors[name]
		n := size + elements(x.Shape)*widths[x.DType]
		shape, _ := json.Marshal(x.Shape) // numbers
		entries[name] = fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, x.DType, shape, size, n)
		size = n
	}
	shuffle()
	text := `{"__metadata__":{"format":"pt"}`
	for _, name := range names {
		text += "," + entries[name]
	}
	text += "}"
	for len(text)%h.Layout[file].Pad != 0 {
		text += " "
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), size
}

// checkTensors compares what became of each tensor.
func (h published) checkTensors(t *testing.T, m *Model) {
	t.Helper()
	files, err := safetensors.OpenDir(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	p, err := partsOf(m.compute, m.arch)
	if err != nil {
		t.Fatal(err)
	}
	found, err := p.pair(m.arch, files.Tensors())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(found.tensors) + len(found.unused) + len(found.copies); n != h.Counts.Tensors || len(files.Tensors()) != n {
		t.Errorf("%d tensors are accounted for, want %d", n, h.Counts.Tensors)
	}
	for name := range h.Tensors {
		listed := slices.ContainsFunc(h.Ignore, func(i struct{ Names string }) bool { return regexp.MustCompile(i.Names).MatchString(name) })
		// What neither class of ours uses is a head of another task.
		if unused := found.unused[name]; (unused != "") != (listed || strings.HasPrefix(name, "cls.seq_relationship.")) {
			t.Errorf("%s: unused %q", name, unused)
		}
		if _, copied := found.copies[name]; copied != (h.Copies[name] != "") {
			t.Errorf("%s: taken for a copy: %v", name, copied)
		}
	}
}

// checkClass compares how many tensors of the file transformers' class takes.
func (h published) checkClass(t *testing.T, m *Model, class string) {
	t.Helper()
	want := h.Classes[class]
	var task task
	switch {
	case strings.HasSuffix(class, "ForSequenceClassification"):
		task = classesOf(3, m.arch)
	case strings.HasSuffix(class, "LM") || strings.HasSuffix(class, "LMHeadModel") || class == "T5ForConditionalGeneration":
		task.name = languageTask(m.arch)
		task = task.of(m.arch)
	default:
		return // without a head, of another task, or an encoder alone
	}
	decls, _, err := declare(m.compute, m.arch, frozen{}, task)
	if err != nil {
		t.Fatal(err)
	}
	used, missing := 0, []string(nil)
	for _, d := range decls {
		if m.has(d.Name) {
			used++
		} else {
			missing = append(missing, d.Name)
		}
	}
	if used != want.Used || !slices.Equal(missing, want.New) {
		t.Errorf("%s: %d tensors are used and %v are new, want %d and %v", class, used, missing, want.Used, want.New)
	}
}
