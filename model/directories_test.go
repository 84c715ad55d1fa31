package model

import (
	"strings"
	"testing"

	"carillon/backend/backendtest"
	"carillon/export"
)

// Directories that PEFT and adapters wrote are read, put into their models, and give
// what they give there.
func TestDirectoriesOfOtherLibrariesSayTheSameHere(t *testing.T) {
	for dir, name := range map[string]string{
		"prompt-gpt2": "gpt2/prompt", "prompt-bert-cls": "bert-cls/prompt",
		"prefix-gpt2": "gpt2/prefix", "prefix-bert-cls": "bert-cls/prefix", "prefix-llama": "llama/prefix",
		"prefix-projection-gpt2": "gpt2/prefix-projection",
		"seq_bn-gpt2":            "gpt2/adapter-seq_bn", "seq_bn-llama": "llama/adapter-seq_bn", "seq_bn-bert-cls": "bert-cls/adapter-seq_bn",
		"double_seq_bn-gpt2": "gpt2/adapter-double_seq_bn", "double_seq_bn-bert-cls": "bert-cls/adapter-double_seq_bn",
		"prompt-t5": "t5/prompt", "prefix-t5": "t5/prefix", "double_seq_bn-t5": "t5/adapter-double_seq_bn", "cross-t5": "t5/adapter-cross",
		"par_bn-gpt2": "gpt2/adapter-par_bn", "par_bn-bert-cls": "bert-cls/adapter-par_bn",
	} {
		t.Run(dir, func(t *testing.T) {
			info, tensors, err := export.Open("../export/testdata/" + dir)
			if err != nil {
				t.Fatal(err)
			}
			model, _, _ := strings.Cut(name, "/")
			s, err := openModel(t, backendtest.Go(t), model).Train(info.Spec)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
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
			want := openFixture(t, name)
			checkOutputs(t, s, want.batch(), want)
		})
	}
}
