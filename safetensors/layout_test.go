package safetensors

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What PEFT wrote is written again to the last byte.
func TestOurLayoutIsThatOfTheLibrary(t *testing.T) {
	path := filepath.Join("testdata", "lora-gpt2.safetensors")
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var tensors []Tensor
	for _, info := range slices.Backward(d.Tensors()) {
		x := Tensor{info.Name, info.Shape, make([]float32, info.Size())}
		if err := d.Float32(x.Name, x.Data); err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, x)
	}
	var b bytes.Buffer
	if err := Write(&b, F32, tensors); err != nil {
		t.Fatal(err)
	}
	if want, err := os.ReadFile(path); err != nil || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the bytes differ from the library's (%v):\n%.200q\n%.200q", err, b.Bytes(), want)
	}
}

// Names, shapes and types of a large adapter are right if its file has the size
// that PEFT's own results record: LoRA on q and v of Llama-3.2-3B (hidden 3072,
// keys and values 1024, 28 layers).
func TestAdaptersHaveTheSizesThatPEFTPublished(t *testing.T) {
	for r, want := range map[int]int{32: 36_715_216, 64: 73_415_408} {
		zeros := make([]float32, 3072*r)
		var tensors []Tensor
		for layer := range 28 {
			for proj, out := range map[string]int{"q": 3072, "v": 1024} {
				key := fmt.Sprintf("base_model.model.model.layers.%d.self_attn.%s_proj.lora_", layer, proj)
				tensors = append(tensors, Tensor{key + "A.weight", []int{r, 3072}, zeros}, Tensor{key + "B.weight", []int{out, r}, zeros[:out*r]})
			}
		}
		slices.SortFunc(tensors, func(a, b Tensor) int { return cmp.Compare(a.Name, b.Name) }) // as Write does: offsets have other digits in another order
		head, err := header(F32, tensors)
		size := len(head)
		for _, x := range tensors {
			size += 4 * len(x.Data)
		}
		if err != nil || size != want {
			t.Errorf("rank %d: %d bytes (%v), want %d", r, size, err, want)
		}
	}
}
