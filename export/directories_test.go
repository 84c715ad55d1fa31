package export_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon/backend/backendtest"
	"carillon/export"
	"carillon/job"
	"carillon/model"
	"carillon/safetensors"
)

// Directories that PEFT and adapters wrote are read, put into their models, and give
// what they give there.
func TestDirectoriesOfOtherLibrariesSayTheSameHere(t *testing.T) {
	for dir, name := range map[string]string{
		"lora-gpt2": "gpt2/lora", "lora-gpt2-cls": "gpt2-cls/lora", "dora-gpt2": "gpt2/dora", "lora-bias-gpt2": "gpt2/lora-bias", "ia3-gpt2": "gpt2/ia3",
		"lora-bert-cls": "bert-cls/lora", "lora-roberta-cls": "roberta-cls/lora", "lora-t5": "t5/lora", "ia3-t5": "t5/ia3",
		"lora-llama": "llama/lora", "dora-llama": "llama/dora", "lora-all-linear-llama": "llama/lora-all-linear", "lora-embed-llama": "llama/lora-embed",
		"lora-pattern-llama": "llama/lora-pattern", "lora-rslora-llama": "llama/lora-rslora", "lora-save-head-llama": "llama/lora-save-head",
		"prompt-gpt2": "gpt2/prompt", "prompt-bert-cls": "bert-cls/prompt", "prompt-t5": "t5/prompt",
		"prefix-gpt2": "gpt2/prefix", "prefix-bert-cls": "bert-cls/prefix", "prefix-llama": "llama/prefix", "prefix-t5": "t5/prefix",
		"prefix-projection-gpt2": "gpt2/prefix-projection",
		"seq_bn-gpt2":            "gpt2/adapter-seq_bn", "seq_bn-llama": "llama/adapter-seq_bn", "seq_bn-bert-cls": "bert-cls/adapter-seq_bn",
		"double_seq_bn-gpt2": "gpt2/adapter-double_seq_bn", "double_seq_bn-bert-cls": "bert-cls/adapter-double_seq_bn", "double_seq_bn-t5": "t5/adapter-double_seq_bn",
		"par_bn-gpt2": "gpt2/adapter-par_bn", "par_bn-bert-cls": "bert-cls/adapter-par_bn", "cross-t5": "t5/adapter-cross",
	} {
		t.Run(dir, func(t *testing.T) {
			info, tensors, err := export.Open("testdata/" + dir)
			if err != nil {
				t.Fatal(err)
			}
			base, _, _ := strings.Cut(name, "/")
			s := adapted(t, base, info.Spec, tensors)
			got, err := outputs(s, batchOf(t, base))
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, readCase(t, name)["logits"])
		})
	}
}

// adapted is a base of the model tests with an adapter's tensors in it: all of them,
// and nothing else is trained.
func adapted(t *testing.T, base string, spec job.Spec, tensors []safetensors.Tensor) *model.Session {
	t.Helper()
	m, err := model.Load(backendtest.Go(t), "../model/testdata/"+base, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	s, err := m.Train(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	flat, left := make([]float32, s.Size()), len(tensors)
	for _, p := range s.Params() {
		for _, tensor := range tensors {
			if tensor.Name == p.Name {
				left -= copy(flat[p.Offset:], tensor.Data) / len(tensor.Data)
			}
		}
	}
	if left != 0 || len(tensors) != len(s.Params()) {
		t.Fatalf("%d tensors of %d are not among the %d trainables", left, len(tensors), len(s.Params()))
	}
	if err := s.Upload(flat); err != nil {
		t.Fatal(err)
	}
	return s
}

func outputs(s *model.Session, in model.Input) ([]float32, error) {
	if s.Task() == job.SeqCls {
		_, got, err := s.Evaluate(in)
		return got, err
	}
	return s.Logits(in)
}

// readCase reads the tensors of a case, each number as its bits.
func readCase(t *testing.T, name string) map[string][]int32 {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../model/testdata/cases", name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	all := map[string][]int32{}
	for key, h := range header {
		words := make([]int32, (h.Offsets[1]-h.Offsets[0])/4)
		for i := range words {
			words[i] = int32(binary.LittleEndian.Uint32(data[8+n:][h.Offsets[0]+4*i:]))
		}
		all[key] = words
	}
	return all
}

// batchOf is the batch of a model's cases: three rows of 16 tokens, the answers of a
// model with a decoder of 11.
func batchOf(t *testing.T, base string) model.Input {
	t.Helper()
	c := readCase(t, base+"/base")
	in := model.Input{Rows: 3, Len: 16, Tokens: c["input/input_ids"], Mask: c["input/attention_mask"]}
	for i, kind := range c["input/token_type_ids"] {
		in.Mask[i] *= kind + 1
	}
	if ids := c["input/decoder_input_ids"]; ids != nil {
		in.DecoderTokens, in.TargetLen = ids, len(ids)/in.Rows
	}
	return in
}

// compare holds logits to the reference's, which has zeros at padding.
func compare(t *testing.T, got []float32, want []int32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d logits, want %d", len(got), len(want))
	}
	off, top := 0.0, 0.0
	for i, bits := range want {
		if x := float64(math.Float32frombits(uint32(bits))); x != 0 {
			off, top = max(off, math.Abs(x-float64(got[i]))), max(top, math.Abs(x))
		}
	}
	if off > 2e-5*top {
		t.Errorf("logits are off by %.2g of the largest", off/top)
	}
}
