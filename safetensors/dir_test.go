package safetensors

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// put writes files into a new directory: tensors of one element each, or texts.
func put(t *testing.T, files map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		data, text := content.(string)
		var b bytes.Buffer
		b.WriteString(data)
		if !text {
			if err := Write(&b, F32, content.([]Tensor)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func one(name string, value float32) Tensor { return Tensor{name, []int{1}, []float32{value}} }

func TestDirectoriesThatCannotBeOpenedSayWhy(t *testing.T) {
	const first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	index := `{"weight_map":{"a":"` + first + `","b":"` + second + `"}}`
	for _, tt := range []struct {
		name  string
		files map[string]any
		want  []string
	}{
		{"PyTorch's", map[string]any{"pytorch_model.bin": "PK"}, []string{"pytorch_model.bin", "can run any program", "save_pretrained"}},
		{"PyTorch's, in parts", map[string]any{"pytorch_model.bin.index.json": "{}"}, []string{"save_pretrained"}},
		{"none", nil, []string{SingleFile, "no such file"}},
		{"a part is missing", map[string]any{IndexFile: index, first: []Tensor{one("a", 1)}}, []string{second, "no such file"}},
		{"a tensor is missing", map[string]any{IndexFile: index, first: []Tensor{one("a", 1)}, second: []Tensor{one("c", 1)}}, []string{"tensor b lies in " + second}},
		{"a tensor twice", map[string]any{IndexFile: index, first: []Tensor{one("a", 1), one("b", 1)}, second: []Tensor{one("b", 1)}}, []string{`"b" is in two files`}},
		{"elsewhere", map[string]any{IndexFile: `{"weight_map":{"a":"../x.safetensors"}}`}, []string{"../x.safetensors", "same directory"}},
	} {
		_, err := OpenDir(put(t, tt.files))
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", tt.name, err, want)
			}
		}
	}
	// Beside safetensors nobody asks for PyTorch's.
	d, err := OpenDir(put(t, map[string]any{"pytorch_model.bin": "PK", SingleFile: []Tensor{one("a", 1)}}))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
}

func TestCopiesAreCompared(t *testing.T) {
	d, err := OpenDir(put(t, map[string]any{SingleFile: []Tensor{
		one("a", 1), one("same", 1), one("other", 2), {"shape", []int{1, 1}, []float32{1}},
	}}))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for name, want := range map[string]bool{"same": true, "other": false, "shape": false} {
		if got, err := d.Same("a", name); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := d.Same("a", "none"); err == nil {
		t.Error("a tensor was compared with none")
	}
}
