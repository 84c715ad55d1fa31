package methods

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/job"
	"carillon/model/nn"
)

// promptKey is the key of the one tensor of a prompt or a prefix.
const promptKey = "prompt_embeddings"

// Prompt trains N rows that go before the embeddings of the tokens, as if the
// text began with N more words:
//
//	x = [prompt; E[ids]],  prompt [N, d]
//
// Positions run on from the prompt to the tokens, nothing is asked of the prompt,
// and of a model with an encoder the encoder alone reads it. (Lester et al., 2021,
// https://arxiv.org/abs/2104.08691; names, shapes and first values as in PEFT,
// whose file for a model with an encoder has 2N rows, the second half unused.
// Values from class labels as in the paper, section 3.2.)
type Prompt struct {
	N      int
	Init   string   // random, sample_vocab, text or class_labels
	Text   string   // of Init text
	Labels []string // of Init class_labels
}

// newPrompt reads the recipe's section prompt.
func newPrompt(spec job.Spec) (nn.Method, error) {
	p := spec.Prompt
	switch {
	case p == nil:
		return nil, fmt.Errorf("method prompt needs a section prompt with num_virtual_tokens")
	case p.NumVirtualTokens < 1:
		return nil, fmt.Errorf("prompt.num_virtual_tokens is %d; it must be at least 1", p.NumVirtualTokens)
	case spec.SamplePacking:
		return nil, fmt.Errorf("sample_packing is true with method prompt: only the first example of a row would stand behind the prompt")
	case p.PromptTuningInit == "text" && p.PromptTuningInitText == "":
		return nil, fmt.Errorf("prompt.prompt_tuning_init is text, and prompt_tuning_init_text is empty")
	case p.PromptTuningInit == "class_labels" && len(spec.Labels) == 0:
		return nil, fmt.Errorf("prompt.prompt_tuning_init is class_labels, and the job has no labels; want sample_vocab or text")
	}
	return Prompt{p.NumVirtualTokens, p.PromptTuningInit, p.PromptTuningInitText, spec.Labels}, nil
}

// Trains says yes to a classifier's head alone.
func (Prompt) Trains(name string) (string, bool) { return wrapped(name) }

// Check has nothing to ask for.
func (Prompt) Check([]string) error { return nil }

// Lead returns how many positions the prompt takes.
func (m Prompt) Lead() int { return m.N }

// Input puts the prompt before s.
func (m Prompt) Input(p nn.Params, s nn.Sequence) nn.Sequence {
	g, b, d := p.Graph(), s.X.Shape().Dim(0), s.X.Shape().Dim(2)
	prompt := m.rows(p, d, s.Encoder) // [N, d]
	s.X = Concatenate([]*Node{BroadcastToDims(ExpandDims(prompt, 0), b, m.N, d), s.X}, 1)
	place := Iota(g, shapes.Make(dtypes.Int32, b, m.N), 1)
	s.Positions = Concatenate([]*Node{place, AddScalar(s.Positions, int32(m.N))}, 1)
	s.Mask = m.before(1, s.Mask)
	if s.Labels != nil && !s.Encoder {
		s.Labels = m.before(nn.Ignored, s.Labels)
	}
	return s
}

// before puts N times the same number before each row of x [B, T].
func (m Prompt) before(number int32, x *Node) *Node {
	front := BroadcastToDims(Scalar(x.Graph(), dtypes.Int32, number), x.Shape().Dim(0), m.N)
	return Concatenate([]*Node{front, x}, 1)
}

// rows returns the prompt [N, d].
func (m Prompt) rows(p nn.Params, d int, encoder bool) *Node {
	n := m.N
	if encoder {
		n *= 2
	}
	if m.Init == "random" {
		return Slice(p.Trainable(promptKey, nn.Normal(1), n, d), AxisRange(0, m.N))
	}
	return Slice(p.TrainableFrom(promptKey, m.first, n, d), AxisRange(0, m.N))
}

// first fills rows with embeddings of the base.
func (m Prompt) first(b nn.Base, key job.Key, dst []float32) error {
	width, err := b.Embeddings([]int32{0})
	if err != nil {
		return err
	}
	n := len(dst) / len(width)
	ids := drawn(b, key, n)
	switch m.Init {
	case "text":
		if ids, err = words(b, m.Text, n); err != nil {
			return fmt.Errorf("prompt.prompt_tuning_init_text: %w", err)
		}
	case "class_labels":
		return m.labels(b, ids, dst)
	}
	rows, err := b.Embeddings(ids)
	copy(dst, rows)
	return err
}

// labels fills a row for each label with the mean embedding of its tokens, and
// those that are left with drawn ids.
func (m Prompt) labels(b nn.Base, ids []int32, dst []float32) error {
	rows, err := b.Embeddings(ids)
	if err != nil {
		return err
	}
	copy(dst, rows)
	d := len(dst) / len(ids)
	for i, label := range m.Labels[:min(len(m.Labels), len(ids))] {
		tokens, err := b.Tokens(label, false)
		if err == nil && len(tokens) == 0 {
			err = fmt.Errorf("it has no tokens")
		}
		if err != nil {
			return fmt.Errorf("label %q: %w", label, err)
		}
		if rows, err = b.Embeddings(tokens); err != nil {
			return err
		}
		mean(rows, dst[i*d:][:d])
	}
	return nil
}

// mean fills dst with the mean of rows.
func mean(rows, dst []float32) {
	for i := range dst {
		sum := 0.0
		for at := i; at < len(rows); at += len(dst) {
			sum += float64(rows[at])
		}
		dst[i] = float32(sum / float64(len(rows)/len(dst)))
	}
}

// drawn returns n ids, each token as likely as any other.
func drawn(b nn.Base, key job.Key, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(uint64(key.At(uint64(i))) * uint64(b.Vocab()) >> 32)
	}
	return ids
}

// words returns n ids of a text, which is cut or repeated.
func words(b nn.Base, text string, n int) ([]int32, error) {
	tokens, err := b.Tokens(text, true)
	if err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%q has no tokens", text)
	}
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = tokens[i%len(tokens)]
	}
	return ids, nil
}

// wrapped gives a parameter of a classifier's head the key that PEFT gives it
// beside a prompt or a prefix.
func wrapped(name string) (key string, ok bool) { return "base_model." + name, headed(name) }

// headed says whether a parameter is of a classifier's head, which most often is a
// new one. (PEFT looks at the ends of names: pre_classifier is of it too.)
func headed(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		for _, head := range heads {
			if strings.HasSuffix(part, head) {
				return true
			}
		}
	}
	return false
}
