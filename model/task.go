package model

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/job"
	"carillon/model/nn"
)

// task is what a session asks its model for, and how that enters the graph.
type task struct {
	name    string    // of package job
	labels  []string  // seq_cls: the classes, by number
	outputs int       // of the head: a number for each class, or the one of a regression; 0 of a language model
	weights []float32 // seq_cls: what each class's loss is multiplied by; nil: 1
	packed  bool      // rows hold parts that do not see each other
	noise   float64   // NEFTune's alpha; 0: none
	half    bool      // products of matrices are of bfloat16
	again   bool      // each block is computed again for its gradient, to keep less
	decodes bool      // the model has a decoder, with inputs of its own
	parts   bool      // the model is told of which part of its row a token is, even if parts see each other
}

// ownTask is what a base model was made for, by its configuration.
func ownTask(arch architecture) task {
	if c, ok := arch.(classifier); ok {
		switch labels := c.Classes(); len(labels) {
		case 0:
		case 1:
			return task{name: job.Regression, outputs: 1}.of(arch)
		default:
			return task{name: job.SeqCls, labels: labels, outputs: len(labels)}.of(arch)
		}
	}
	return task{name: languageTask(arch)}.of(arch)
}

// languageTask is what a model is asked for whose head gives tokens.
func languageTask(arch architecture) string {
	switch _, decodes := arch.(translator); {
	case decodes:
		return job.Seq2SeqLM
	case arch.Causal():
		return job.CausalLM
	}
	return job.MaskedLM
}

// of fills in what a task is for a family of models.
func (t task) of(arch architecture) task {
	_, t.decodes = arch.(translator)
	t.parts = !arch.Causal()
	return t
}

// taskOf is what a spec asks of a model. A spec that does not say asks for what
// the base model was made for.
func taskOf(spec job.Spec, arch architecture) (task, error) {
	own := ownTask(arch)
	t := own
	if spec.TaskType != "" {
		t = task{name: spec.TaskType, labels: spec.Labels, outputs: len(spec.Labels)}
	}
	switch {
	case t.name == job.Regression:
		t.labels, t.outputs = nil, 1
	case t.name == job.SeqCls && t.outputs == 0:
		t.labels, t.outputs = own.labels, len(own.labels)
	}
	for _, w := range spec.ClassWeights {
		t.weights = append(t.weights, float32(w))
	}
	t.packed, t.noise = spec.SamplePacking, spec.NeftuneNoiseAlpha
	t.half, t.again = spec.BF16, spec.GradientCheckpointing
	t = t.of(arch)
	if err := t.check(arch); err != nil || spec.ReinitWeights && t.outputs > 0 {
		return t, err
	}
	return t, t.fits(own)
}

// check says what is wrong with the task itself, for a family of models.
func (t task) check(arch architecture) error {
	if err := t.suits(arch); err != nil {
		return err
	}
	switch {
	case t.name == job.SeqCls && t.outputs < 2:
		return fmt.Errorf("task_type %s needs at least two labels; there are %d", t.name, t.outputs)
	case len(t.weights) > 0 && len(t.weights) != len(t.labels):
		return fmt.Errorf("class_weights: %d weights for %d labels; want one for each", len(t.weights), len(t.labels))
	case t.packed && t.name != job.CausalLM:
		return fmt.Errorf("sample_packing is true with task_type %s; only %s examples are packed", t.name, job.CausalLM)
	}
	return nil
}

// suits says why no model of a family can be asked for this.
func (t task) suits(arch architecture) error {
	_, classifies := arch.(classifier)
	own := languageTask(arch)
	switch {
	case t.name == own || classifies && (t.name == job.SeqCls || t.name == job.Regression):
		return nil
	case t.decodes:
		return fmt.Errorf("task_type %s: a model with an encoder and a decoder is for %s", t.name, own)
	case t.name == job.Seq2SeqLM:
		return fmt.Errorf("task_type %s needs a model with an encoder and a decoder, and this is none", t.name)
	case t.name == job.CausalLM:
		return fmt.Errorf("task_type %s needs a model that goes on with a text; in this one, an encoder, each token sees all others: %s, %s and %s are for it; write task_type: %s to have it learn from texts", t.name, job.SeqCls, job.Regression, own, own)
	}
	return fmt.Errorf("task_type %s needs an encoder, in which each token sees all others; in this model it sees those before it: %s, %s and %s are for it", t.name, own, job.SeqCls, job.Regression)
}

// fits says why a base model that was made for its own task cannot begin this one:
// its head would be another's.
func (t task) fits(own task) error {
	switch {
	case own.outputs == 0: // it has no such head, and gets a new one
		return nil
	case t.outputs != own.outputs:
		return fmt.Errorf("the base model is %v, and the job's task is %v", own, t)
	case !slices.Equal(t.labels, own.labels) && slices.Equal(slices.Sorted(slices.Values(t.labels)), slices.Sorted(slices.Values(own.labels))):
		return fmt.Errorf("the base model is %v, and the job's task is %v: the same labels in another order; name them in the recipe's labels as the base does", own, t)
	}
	return nil
}

// String names the task in an error: "seq_cls with 2 labels (bad, good)".
func (t task) String() string {
	if t.name != job.SeqCls {
		return t.name
	}
	const most = 5
	list := strings.Join(t.labels[:min(most, len(t.labels))], ", ")
	if len(t.labels) > most {
		list += ", …"
	}
	return fmt.Sprintf("%s with %d labels (%s)", t.name, t.outputs, list)
}

// hidden runs the model up to its head.
func (t task) hidden(arch architecture, p nn.Params, in inputs) (*Node, nn.Sequence) {
	s := nn.Sequence{X: arch.Embed(p, in.tokens), Positions: in.positions, Mask: in.mask, Packed: t.packed, Encoder: t.decodes}
	if s.Classify = t.outputs > 0; !s.Classify {
		s.Labels = in.labels
	}
	if t.noise > 0 {
		s.X = p.Noise(s, t.noise)
	}
	s = nn.EnterInputs(p, s)
	x := arch.Hidden(p, s)
	if t.decodes {
		x = arch.(translator).Decode(p, in.decoderTokens, x, s)
	}
	return x, s
}

// loss returns the loss summed over what is asked for, and what the head of a
// classifier or a regression gives, [B, outputs] (nil for a language model).
func (t task) loss(arch architecture, p nn.Params, in inputs) (loss, outputs *Node) {
	x, s := t.hidden(arch, p, in)
	if t.outputs == 0 {
		return t.tokenLoss(arch.Logits(p, x), s, in), nil
	}
	outputs = arch.(classifier).Score(p, x, s, t.outputs)
	if t.name == job.Regression {
		return nn.SquaredLoss(outputs, in.targets()), outputs
	}
	return nn.ClassLoss(outputs, in.targets(), t.weights), outputs
}

// tokenLoss returns a language model's loss for logits [B, T, V]: of the next
// token, or of the one in its own place.
func (t task) tokenLoss(logits *Node, s nn.Sequence, in inputs) *Node {
	switch t.name {
	case job.Seq2SeqLM:
		return nn.ClassLoss(logits, in.decoderLabels, nil)
	case job.MaskedLM:
		return nn.ClassLoss(logits, s.Labels, nil)
	}
	return nn.CausalLoss(logits, s.Labels)
}
