package model

import (
	"slices"
	"testing"

	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/methods"
)

// Rotary positions begin anew in each part, and a window ends where its part does.
func TestPackedLlamasEqualUnpacked(t *testing.T) {
	be := backendtest.Go(t)
	for _, name := range []string{"llama", "mistral"} {
		t.Run(name, func(t *testing.T) {
			want := openFixture(t, name+"/base")
			s := startTask(t, openModel(t, be, name), methods.Full{}, packedTask)
			checkGradient(t, s, packed(want.batch()), want)
		})
	}
}

// A classifier's head sees the last token of a row, on whichever side the padding is.
func TestALlamaClassifiesByTheLastToken(t *testing.T) {
	spec := job.Spec{Method: "full", Seed: 5, TaskType: job.SeqCls, Labels: []string{"bad", "good", "neither"}}
	s, err := openModel(t, backendtest.Go(t), "qwen2").Train(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	right, left := openFixture(t, "qwen2/base").batch(), openFixture(t, "qwen2/base-left").batch()
	right.Targets, left.Targets = []int32{1, 0, 2}, []int32{1, 0, 2}
	_, a, err := s.Evaluate(right)
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := s.Evaluate(left)
	if err != nil {
		t.Fatal(err)
	}
	if largest(a) == 0 || furthest(a, b) > 1e-5*largest(a) {
		t.Errorf("outputs %v with padding on the right, %v on the left", a, b)
	}
	last := slices.Clone(right.Tokens)
	last[right.Len-1] = (last[right.Len-1] + 1) % 256 // the first row is full, the others end in padding
	last[2*right.Len-1]++
	right.Tokens = last
	_, c, err := s.Evaluate(right)
	if err != nil || slices.Equal(a[:3], c[:3]) || !slices.Equal(a[3:], c[3:]) {
		t.Errorf("outputs %v (%v) with another last token in the first row and other padding in the second, before %v", c, err, a)
	}
	var grad = make([]float32, s.Size())
	if _, err := s.Gradient(right, job.Key{}, grad); err != nil {
		t.Error(err)
	}
	i := slices.IndexFunc(s.Params(), func(p Param) bool { return p.Name == "score.weight" })
	if i < 0 || largest(grad[s.Params()[i].Offset:][:3*32]) == 0 {
		t.Error("the head gets no gradient")
	}
}
