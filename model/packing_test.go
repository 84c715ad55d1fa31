package model

import (
	"math"
	"slices"
	"strings"
	"testing"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/methods"
	"carillon/model/nn"
)

var packedTask = task{name: job.CausalLM, packed: true}

// packed puts the tokens of all rows of a batch into one row, a part each, and two
// of padding after them.
func packed(in Input) Input {
	out := Input{Rows: 1}
	for r := range in.Rows {
		for i := r * in.Len; i < (r+1)*in.Len; i++ {
			if in.Mask[i] == 0 {
				continue
			}
			out.Tokens, out.Labels, out.Mask = append(out.Tokens, in.Tokens[i]), append(out.Labels, in.Labels[i]), append(out.Mask, int32(r+1))
		}
	}
	for range 2 {
		out.Tokens, out.Labels, out.Mask = append(out.Tokens, 0), append(out.Labels, nn.Ignored), append(out.Mask, 0)
	}
	out.Len = len(out.Tokens)
	return out
}

// Three examples in one row have the loss and the gradient that they have in
// three, also where keys that all of them see stand in front.
func TestPackedEqualsUnpacked(t *testing.T) {
	for _, tt := range []struct {
		fixture string
		method  nn.Method
		quick   bool
	}{{"base", methods.Full{}, true}, {"lora", loraCase, false}, {"prefix", methods.Prefix{N: 4, Init: "zero"}, true}} {
		t.Run(tt.fixture, func(t *testing.T) {
			backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
				if tt.quick && be.Kind() != backend.Go {
					t.Skip("another case has packed rows on XLA")
				}
				want, in := openFixture(t, tt.fixture), openFixture(t, "base").batch()
				s := startTask(t, openModel(t, be, "gpt2"), tt.method, packedTask)
				if err := s.Upload(want.initial(s)); err != nil {
					t.Fatal(err)
				}
				checkGradient(t, s, packed(in), want) // that of the unpacked batch
			})
		})
	}
}

// What stands in one part changes no bit of what is said of another.
func TestPartsDoNotSeeEachOther(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		s := startTask(t, openModel(t, be, "gpt2"), methods.Full{}, packedTask)
		in := packed(openFixture(t, "base").batch())
		before, err := s.Logits(in)
		if err != nil {
			t.Fatal(err)
		}
		changed := slices.Index(in.Mask, 2) + 1
		in.Tokens[changed] = (in.Tokens[changed] + 1) % 256
		after, err := s.Logits(in)
		if err != nil {
			t.Fatal(err)
		}
		vocab := s.model.config.Vocab
		for i, part := range in.Mask {
			same := slices.Equal(before[i*vocab:][:vocab], after[i*vocab:][:vocab])
			if want := part != 2 || i < changed; same != want {
				t.Errorf("token %d, of part %d: its logits are the same: %v, want %v", i, part, same, want)
			}
		}
	})
}

// A model that does not pack takes the parts of a pair for one text.
func TestWithoutPackingPartsAreOneText(t *testing.T) {
	s := startSession(t, openModel(t, backendtest.Go(t), "gpt2"), methods.Full{})
	in := openFixture(t, "base").batch()
	loss, err := s.Loss(in)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range in.Mask {
		if m != 0 && i%in.Len > 3 {
			in.Mask[i] = 2
		}
	}
	if pair, err := s.Loss(in); err != nil || pair != loss {
		t.Errorf("loss %v as pairs (%v), want %v", pair, err, loss)
	}
}

// The first token of a part cannot be told from those before it.
func TestNobodyIsAskedForTheFirstTokenOfAPart(t *testing.T) {
	s := startTask(t, openModel(t, backendtest.Go(t), "gpt2"), methods.Full{}, packedTask)
	in := packed(openFixture(t, "base").batch())
	first := slices.Index(in.Mask, 2)
	losses := map[int32]float32{in.Tokens[first]: 0, nn.Ignored: 0}
	for label := range losses {
		in.Labels[first] = label
		loss, err := s.Loss(in)
		if err != nil || loss == 0 || math.IsNaN(float64(loss)) {
			t.Fatalf("loss %v, %v", loss, err)
		}
		losses[label] = loss
	}
	if losses[in.Tokens[first]] != losses[nn.Ignored] {
		t.Errorf("losses %v differ by the label of a part's first token", losses)
	}
}

func TestPartsOutOfOrderAreRefused(t *testing.T) {
	s := startTask(t, openModel(t, backendtest.Go(t), "gpt2"), methods.Full{}, packedTask)
	for _, parts := range [][]int32{{1, 2, 1}, {2, 0, 1}, {1, -1, 1}} {
		_, err := s.Loss(Input{Rows: 1, Len: 3, Tokens: []int32{5, 6, 7}, Mask: parts})
		if err == nil || !strings.Contains(err.Error(), "comes after part") {
			t.Errorf("parts %v: %v", parts, err)
		}
	}
}
