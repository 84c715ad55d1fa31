package export

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/job"
	"carillon/safetensors"
)

// tensorsOfDir reads a model directory's weights by name.
func tensorsOfDir(t *testing.T, dir string) map[string]safetensors.Tensor {
	t.Helper()
	d, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	all := map[string]safetensors.Tensor{}
	for _, info := range d.Tensors() {
		x := safetensors.Tensor{Name: info.Name, Shape: info.Shape, Data: make([]float32, info.Size())}
		if err := d.Float32(info.Name, x.Data); err != nil {
			t.Fatal(err)
		}
		all[x.Name] = x
	}
	return all
}

// checkMerged compares two directories' weights; within is a share of the largest of
// each tensor.
func checkMerged(t *testing.T, got, want map[string]safetensors.Tensor, within float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d tensors, want %d", len(got), len(want))
	}
	for name, x := range want {
		y, top := got[name], 0.0
		if !slices.Equal(x.Shape, y.Shape) {
			t.Errorf("%s has shape %v, want %v", name, y.Shape, x.Shape)
			continue
		}
		for _, v := range x.Data {
			top = max(top, math.Abs(float64(v)))
		}
		for i, v := range x.Data {
			if d := math.Abs(float64(v) - float64(y.Data[i])); !(d <= within*top) {
				t.Errorf("%s: element %d is %v, want %v", name, i, y.Data[i], v)
				break
			}
		}
	}
}

func modelDir(name string) string { return "../model/testdata/" + name }

// PEFT merged these in float64.
func TestMergedWeightsAreThoseOfPEFT(t *testing.T) {
	for _, name := range []string{"dora-gpt2", "ia3-gpt2", "lora-embed-llama", "dora-llama"} {
		base := modelDir(name[strings.LastIndex(name, "-")+1:])
		one, several := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "several")
		sum, err := Merge(one, base, "testdata/"+name)
		if err != nil {
			t.Fatal(err)
		}
		got := tensorsOfDir(t, one)
		checkMerged(t, got, tensorsOfDir(t, "testdata/merged/"+name), 1e-7)
		if again, err := Merge(one, base, "testdata/"+name); err != nil || again != sum {
			t.Errorf("%s: merged again %s (%v), want %s", name, again, err, sum)
		}
		info, tensors, err := Open("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := merge(several, base, info.Spec, tensors, 40_000); err != nil {
			t.Fatal(err)
		}
		if names := namesIn(t, several); !slices.Contains(names, safetensors.IndexFile) || !slices.Contains(names, fmt.Sprintf("model-00001-of-%05d.safetensors", len(names)-countOthers(names))) {
			t.Errorf("%s: files %q", name, names)
		}
		checkMerged(t, tensorsOfDir(t, several), got, 0)
	}
}

// countOthers counts what is no weights file.
func countOthers(names []string) (n int) {
	for _, name := range names {
		if !strings.HasSuffix(name, ".safetensors") {
			n++
		}
	}
	return n
}

// A base in bfloat16 is merged in float32 and rounded once.
func TestAHalfBaseIsMergedInFull(t *testing.T) {
	full, half := filepath.Join(t.TempDir(), "full"), filepath.Join(t.TempDir(), "half")
	for out, base := range map[string]string{full: "llama", half: "llama-bf16"} {
		if _, err := Merge(out, modelDir(base), "testdata/lora-llama"); err != nil {
			t.Fatal(err)
		}
	}
	checkMerged(t, tensorsOfDir(t, half), tensorsOfDir(t, full), 1.0/128)
	d, err := safetensors.OpenDir(half)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, info := range d.Tensors() {
		if info.DType != safetensors.BF16 {
			t.Errorf("%s is stored as %s, want BF16", info.Name, info.DType)
		}
	}
	if got := keysOf(t, filepath.Join(half, configFile))["torch_dtype"]; got != "bfloat16" {
		t.Errorf("torch_dtype is %v, want bfloat16", got)
	}
}

// Biases, trained parts, modules saved whole and heads stand in the place of the
// base's own.
func TestWhatIsTrainedWholeReplacesTheBase(t *testing.T) {
	const bias, head = "transformer.h.0.ln_1.bias", "score.weight"
	base := tensorsOfDir(t, modelDir("gpt2"))
	trained := safetensors.Tensor{Name: bias, Shape: []int{32}, Data: slices.Repeat([]float32{3}, 32)}
	score := safetensors.Tensor{Name: head, Shape: []int{2, 32}, Data: slices.Repeat([]float32{5}, 64)}
	for _, tt := range []struct {
		spec    job.Spec
		trained []safetensors.Tensor
		changed []string
	}{
		{job.Spec{Method: "bitfit"}, []safetensors.Tensor{trained}, []string{bias}},
		{job.Spec{Method: "full", UnfrozenParameters: []string{bias}}, []safetensors.Tensor{trained}, []string{bias}},
		{job.Spec{Method: "bitfit", TaskType: job.SeqCls, Labels: []string{"a", "b"}}, []safetensors.Tensor{trained, score}, []string{bias, head}},
	} {
		out := filepath.Join(t.TempDir(), "out")
		if _, err := merge(out, modelDir("gpt2"), tt.spec, tt.trained, shardSize); err != nil {
			t.Fatal(err)
		}
		var changed []string
		for name, x := range tensorsOfDir(t, out) {
			if !slices.Equal(x.Data, base[name].Data) {
				changed = append(changed, name)
			}
		}
		slices.Sort(changed)
		slices.Sort(tt.changed)
		if !slices.Equal(changed, tt.changed) {
			t.Errorf("%v: %q changed, want %q", tt.spec.Method, changed, tt.changed)
		}
	}
}

func TestWhatCannotBeMergedIsRefused(t *testing.T) {
	for _, tt := range []struct{ base, adapter, want string }{
		{"gpt2", "prompt-gpt2", "method prompt"},
		{"gpt2", "lora-llama", "is of no parameter of the base model"},
		{"qwen3", "lora-llama", "the adapter is of another base model"},
		{"none", "lora-gpt2", "no such file"},
	} {
		if _, err := os.Stat("testdata/" + tt.adapter); err != nil {
			t.Fatal(err)
		}
		parent := t.TempDir()
		if _, err := Merge(filepath.Join(parent, "out"), modelDir(tt.base), "testdata/"+tt.adapter); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s into %s: %v, want %q", tt.adapter, tt.base, err, tt.want)
		}
		if left := namesIn(t, parent); len(left) > 0 {
			t.Errorf("%q is left", left)
		}
	}
}
