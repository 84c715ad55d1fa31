package model

import (
	"slices"
	"sync"
	"testing"

	"carillon/backend/backendtest"
	"carillon/job"
)

// kept are cases in which a method changes keys, values, embeddings or what is added
// to them, beside those whose texts are the reference's.
var kept = slices.Concat(texts, []refCase{
	lora("gpt2", "dora", job.LoRA{TargetModules: []string{"c_attn", "c_proj"}, UseDoRA: true}),
	ia3("gpt2", []string{"c_attn", "mlp.c_proj"}, []string{"mlp.c_proj"}), bottleneck("gpt2", "double_seq_bn"), projection("gpt2"),
	lora("llama", "lora-embed", on("embed_tokens", "q_proj")), bottleneck("llama", "seq_bn"), prefix("mistral"), prompt("mistral"),
	ia3("t5", []string{"k", "v", "wo"}, []string{"wo"}), projection("t5"), prompt("t5-v1_1"),
	bottlenecks("t5", "adapter-cross", job.Bottleneck{Architecture: "double_seq_bn", CrossAdapter: true}),
})

// A token that is read by itself, after others that were, gives the logits that the
// whole text gives, wherever a method comes in and whichever row its text was in.
func TestStepsGiveTheLogitsOfWholeTexts(t *testing.T) {
	for _, c := range kept {
		t.Run(c.model+"/"+c.name, func(t *testing.T) {
			s, err := openModel(t, backendtest.Go(t), c.model).Train(c.spec)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Upload(s.probeWeights(job.Key{5, 6})); err != nil {
				t.Fatal(err)
			}
			checkSteps(t, s, [][]int32{{9, 8, 7}, {100, 3, 50, 61, 72, 83, 94, 105, 16, 27, 38}})
		})
	}
}

// checkSteps goes on with two texts for each prompt, which change places.
func checkSteps(t *testing.T, s *Session, prompts [][]int32) {
	t.Helper()
	d := s.newDraft(prompts, len(prompts), len(prompts[1]), Writing{MaxNew: 9, NumBeams: 2})
	defer func() {
		if err := free(d.kept); err != nil {
			t.Error(err)
		}
	}()
	logits, err := d.read()
	added := make([][]int32, 4)
	for i := int32(0); ; i++ {
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 || i == 9 {
			want := wholeLogits(t, s, prompts, added)
			if far := furthest(logits, want); far > 2e-5*largest(want) {
				t.Fatalf("%d tokens after the prompts, logits are off by %.2g of at most %.2g", i, far, largest(want))
			}
		}
		if i == 9 {
			return
		}
		tokens, from := []int32{i, 20 + 7*i, 40 + 5*i, 60 + 3*i}, []int32{1, i % 2, 2, 2 + i%2}
		was := slices.Clone(added)
		for r, f := range from {
			added[r] = append(slices.Clone(was[f]), tokens[r])
		}
		logits, err = d.step(tokens, from)
	}
}

// wholeLogits reads prompts and what was added to each of their two rows at once.
func wholeLogits(t *testing.T, s *Session, prompts, added [][]int32) []float32 {
	t.Helper()
	const length = 20
	in, last := Input{Rows: len(added), Len: length}, make([]int32, len(added))
	for r, more := range added {
		text := slices.Clone(prompts[r/2])
		if s.task.decodes {
			answer := append([]int32{s.start()}, more...)
			last[r] = int32(len(answer) - 1)
			in.TargetLen = length
			in.DecoderTokens = append(append(in.DecoderTokens, answer...), make([]int32, length-len(answer))...)
		} else {
			text = append(text, more...)
			last[r] = int32(len(text) - 1)
		}
		padding := make([]int32, length-len(text))
		in.Tokens = append(append(in.Tokens, text...), padding...)
		in.Mask = append(append(in.Mask, slices.Repeat([]int32{1}, len(text))...), padding...)
	}
	logits, err := s.NextLogits(in, last)
	if err != nil {
		t.Fatal(err)
	}
	return logits
}

// Texts of about one length need one program to read prompts and one for what is
// added; several may be written at once.
func TestProgramsForTextsAreFew(t *testing.T) {
	s := full("gpt2", "base").start(t, openModel(t, backendtest.Go(t), "gpt2"), openFixture(t, "gpt2/base"))
	var all sync.WaitGroup
	for n := 1; n <= 16; n += 3 {
		all.Go(func() {
			prompt := slices.Repeat([]int32{7}, n)
			if got, err := s.Generate([][]int32{prompt}, 32-n, -1); err != nil || len(got[0]) != 32-n {
				t.Errorf("%d tokens: %v, %v", n, got, err)
			}
		})
	}
	all.Wait()
	if len(s.programs) != 2 {
		t.Errorf("%d programs, want 2", len(s.programs))
	}
	if _, err := s.Generate([][]int32{slices.Repeat([]int32{7}, 20)}, 5, -1); err != nil || len(s.programs) != 3 {
		t.Errorf("%d programs, want one more for longer prompts: %v", len(s.programs), err)
	}
}

func TestLongTextsShareLengths(t *testing.T) {
	s := full("t5", "base").start(t, openModel(t, backendtest.Go(t), "t5"), openFixture(t, "t5/base"))
	for n, want := range map[int]int{1: 16, 16: 16, 17: 32, 120: 128, 129: 160, 256: 256, 257: 320, 1000: 1024, 1 << 20: 1 << 20} {
		if got := s.roundUp(n); got != want {
			t.Errorf("%d tokens in rows of %d, want %d", n, got, want)
		}
	}
}
