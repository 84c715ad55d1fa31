package model

import (
	"strings"
	"testing"

	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/methods"
	"carillon/model/nn"
)

// A prompt of a text's embeddings, and a prefix of its keys and values, say what the
// base says behind that text.
func TestTheBasesOwnValuesAreAsItsText(t *testing.T) {
	m := openModel(t, backendtest.Go(t), "gpt2")
	text, tokens := []int32{7, 201, 33, 90}, []int32{5, 61, 250}
	whole := logitsOf(t, startSession(t, m, methods.Full{}), append(text[:4:4], tokens...))
	want := whole[len(whole)-3*256:]
	for _, tt := range []struct {
		method nn.Method
		values func([]int32) ([]float32, error)
	}{
		{methods.Prompt{N: 4}, base{m}.Embeddings},
		{methods.Prefix{N: 4}, base{m}.KeysValues},
	} {
		s := startSession(t, m, tt.method)
		flat, err := tt.values(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Upload(flat); err != nil {
			t.Fatal(err)
		}
		got := logitsOf(t, s, tokens)
		if d := furthest(got[len(got)-len(want):], want) / largest(want); d > 1e-6 {
			t.Errorf("%T: logits differ by %.2g of the largest", tt.method, d)
		}
	}
}

// logitsOf returns the logits of a row of tokens.
func logitsOf(t *testing.T, s *Session, tokens []int32) []float32 {
	t.Helper()
	in := Input{Rows: 1, Len: len(tokens), Tokens: tokens, Mask: make([]int32, len(tokens))}
	for i := range in.Mask {
		in.Mask[i] = 1
	}
	logits, err := s.Logits(in)
	if err != nil {
		t.Fatal(err)
	}
	return logits
}

// The same seed gives the same first values, another one others, and they are not
// of a tensor's own making: a prompt's rows are rows of the table.
func TestFirstValuesFollowFromTheSeed(t *testing.T) {
	m := openModel(t, backendtest.Go(t), "gpt2")
	for _, method := range []string{"prompt", "prefix"} {
		first := func(seed uint64) string {
			spec := job.Spec{Method: method, Seed: seed, Prompt: &job.Prompt{NumVirtualTokens: 3, PromptTuningInit: "sample_vocab"}, Prefix: &job.Prefix{NumVirtualTokens: 3}}
			s, err := m.Train(spec)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			return bits(s.Initial())
		}
		if a := first(1); a != first(1) || a == first(2) {
			t.Errorf("%s: first values do not follow from the seed", method)
		}
	}
}

func TestFirstValuesThatThereAreNot(t *testing.T) {
	m := openModel(t, backendtest.Go(t), "gpt2")
	text := &job.Prompt{NumVirtualTokens: 3, PromptTuningInit: "text", PromptTuningInitText: "Answer:"}
	if _, err := m.Train(job.Spec{Method: "prompt", Prompt: text}); err == nil || !strings.Contains(err.Error(), "prompt_tuning_init_text") {
		t.Errorf("a text without a tokenizer: %v", err)
	}
	for _, ids := range [][]int32{{256}, {-1}, nil, make([]int32, 65)} {
		if _, err := (base{m}).Embeddings(ids); err == nil {
			t.Errorf("%d ids %v have embeddings", len(ids), ids)
		}
	}
}
