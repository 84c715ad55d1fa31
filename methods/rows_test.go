package methods_test

import (
	"os"
	"testing"

	"carillon/job"
)

// family is a model of the fixtures.
type family struct {
	name   string // of its directory, and of its cases
	task   string
	labels []string
	lora   []string // the modules that its cases of LoRA correct
	dora   []string // and those of DoRA
	one    string   // the method of those runs that take one
}

var classes = []string{"negative", "neutral", "positive"}

var families = []family{
	{"gpt2", job.CausalLM, nil, []string{"c_attn"}, []string{"c_attn", "c_proj"}, "lora"},
	{"bert-cls", job.SeqCls, classes, []string{"query", "value"}, []string{"query", "value"}, "seq_bn"},
	{"roberta-cls", job.SeqCls, classes, []string{"query", "value"}, []string{"query", "value"}, "prompt"},
	{"distilbert-cls", job.SeqCls, classes, []string{"q_lin", "v_lin"}, []string{"q_lin", "v_lin"}, "full"},
	{"t5", job.Seq2SeqLM, nil, []string{"q", "v"}, []string{"q", "v"}, "ia3"},
	{"t5-v1_1", job.Seq2SeqLM, nil, []string{"all-linear"}, []string{"q", "v"}, "double_seq_bn"},
	{"llama", job.CausalLM, nil, []string{"q_proj", "v_proj"}, []string{"down_proj", "q_proj", "v_proj"}, "prefix"},
	{"llama3", job.CausalLM, nil, []string{"q_proj", "v_proj"}, []string{"q_proj", "v_proj"}, "par_bn"},
	{"mistral", job.CausalLM, nil, []string{"q_proj", "v_proj"}, []string{"q_proj", "v_proj"}, "dora"},
	{"qwen2", job.CausalLM, nil, []string{"q_proj", "v_proj"}, []string{"q_proj", "v_proj"}, "bitfit"},
	{"qwen3", job.CausalLM, nil, []string{"all-linear"}, []string{"q_proj", "v_proj"}, "rslora"},
}

func (f family) dir() string { return "../model/testdata/" + f.name }

// beginning is how a model with a method that has learnt nothing is to its base.
type beginning int

const (
	exactly beginning = iota // the same bits
	rounded                  // the same but for rounding
	near                     // not far off
	apart                    // somewhere else
)

// variant is a method as a recipe may have it.
type variant struct {
	name    string
	spec    func(f family) job.Spec
	cases   []string // its names in the fixtures, of which a model has at most one
	starts  beginning
	trains  string // an expression for the keys of what it trains, beside a head
	merges  bool   // into the base's weights
	rate    float64
	differs string            // an expression for the keys of what has the loss's own gradient; "": all have
	refused map[string]string // families that cannot have it, and the reason that is given
}

var variants = []variant{
	{name: "full", cases: []string{"base"}, rate: 0.01, trains: `.`, spec: always(job.Spec{Method: "full"})},
	{name: "lora", cases: []string{"lora", "lora-all-linear"}, merges: true, rate: 0.02, trains: `^base_model\.model\..*\.lora_[AB]\.weight$`,
		spec: func(f family) job.Spec { return lora(job.LoRA{TargetModules: f.lora}) }},
	{name: "rslora", cases: []string{"lora-rslora"}, merges: true, rate: 0.02, trains: `^base_model\.model\..*\.lora_[AB]\.weight$`,
		spec: func(f family) job.Spec { return lora(job.LoRA{TargetModules: f.lora, UseRSLoRA: true}) }},
	{name: "dora", cases: []string{"dora"}, starts: rounded, merges: true, rate: 0.02, trains: `^base_model\.model\..*\.lora_([AB]\.weight|magnitude_vector)$`,
		spec:    func(f family) job.Spec { return lora(job.LoRA{TargetModules: f.dora, UseDoRA: true}) },
		differs: `\.lora_magnitude_vector$`}, // the norm of the rest is a constant in the gradient
	{name: "ia3", cases: []string{"ia3"}, merges: true, rate: 0.02, trains: `^base_model\.model\..*\.ia3_l$`,
		spec: always(job.Spec{Method: "ia3"})},
	{name: "bitfit", cases: []string{"bitfit"}, rate: 0.02, trains: `\.bias$`, refused: noBiases,
		spec: always(job.Spec{Method: "bitfit"})},
	{name: "seq_bn", cases: []string{"adapter-seq_bn"}, starts: near, rate: 0.02, trains: bottleneckKeys, spec: bottleneck("seq_bn")},
	{name: "double_seq_bn", cases: []string{"adapter-double_seq_bn"}, starts: near, rate: 0.02, trains: bottleneckKeys, spec: bottleneck("double_seq_bn")},
	{name: "par_bn", cases: []string{"adapter-par_bn"}, rate: 0.02, trains: bottleneckKeys, spec: bottleneck("par_bn")},
	{name: "prompt", cases: []string{"prompt"}, starts: apart, rate: 0.03, trains: `^prompt_embeddings$`,
		spec: always(job.Spec{Method: "prompt", Prompt: &job.Prompt{NumVirtualTokens: 5, PromptTuningInit: "random"}})},
	{name: "prefix", cases: []string{"prefix"}, starts: apart, rate: 0.03, trains: `^prompt_embeddings$`,
		spec: always(job.Spec{Method: "prefix", Prefix: &job.Prefix{NumVirtualTokens: 4, PrefixInit: "random"}})},
	{name: "prefix-projection", cases: []string{"prefix-projection"}, starts: apart, rate: 0.02, trains: `^prompt_encoder\.(embedding|transform\.[02])\.(weight|bias)$`,
		spec: always(job.Spec{Method: "prefix", Prefix: &job.Prefix{NumVirtualTokens: 4, PrefixProjection: true, EncoderHiddenSize: 24}})},
}

// bottleneckKeys are those of bottlenecks.
const bottleneckKeys = `\.adapters\.carillon\.adapter_(down\.0|up)\.(weight|bias)$`

// noBiases are the models in which bitfit has nothing to train.
var noBiases = map[string]string{
	"t5": "the model has none", "t5-v1_1": "the model has none",
	"llama": "the model has none", "llama3": "the model has none", "mistral": "the model has none", "qwen3": "the model has none",
}

// caseOf is the row's case in the fixtures, or "".
func (r row) caseOf() string {
	for _, name := range r.cases {
		if _, err := os.Stat(casePath(r.family.name, name) + ".json"); err == nil {
			return name
		}
	}
	return ""
}

// Most rows' gradients are compared with other libraries'; that it is so many shows that
// the cases are found.
func TestRowsHaveTheirCases(t *testing.T) {
	n := 0
	for _, f := range families {
		for _, v := range variants {
			if (row{family: f, variant: v}).caseOf() != "" {
				n++
			}
		}
	}
	if n != 57 {
		t.Errorf("%d rows have a case, want 57", n)
	}
}

// steps is how long the rows' job is.
const steps = 4

// job is what a row trains: each step sees all of its examples. Where it compiles,
// lanes are as the cases' batch.
func (r row) job() job.Spec {
	s := r.variant.spec(r.family)
	s.BaseModel, s.TaskType, s.Labels = r.dir(), r.task, r.labels
	s.Lanes, s.MicroBatchSize, s.SequenceLen, s.MaxTargetLength, s.Seed = 4, 2, 8, 6, 42
	if r.compiles() {
		s.MicroBatchSize, s.SequenceLen, s.MaxTargetLength = r.in.Rows, r.in.Len, r.in.TargetLen
	}
	s.MaxSteps, s.SaveSteps, s.LearningRate, s.LRScheduler, s.MaxGradNorm = steps, steps/2, r.rate, "constant", 1
	s.AdamBeta1, s.AdamBeta2, s.AdamEpsilon, s.Compression, s.Algorithm = 0.9, 0.999, 1e-8, "q8", "auto"
	return s
}

// always is the same spec whatever the model.
func always(spec job.Spec) func(family) job.Spec { return func(family) job.Spec { return spec } }

// lora is LoRA with the numbers of the cases.
func lora(l job.LoRA) job.Spec {
	l.R, l.LoraAlpha = 4, 8
	return job.Spec{Method: "lora", LoRA: &l}
}

// bottleneck is one of AdapterHub's configurations with the cases' width.
func bottleneck(architecture string) func(family) job.Spec {
	return always(job.Spec{Method: "adapter", Bottleneck: &job.Bottleneck{Architecture: architecture, ReductionFactor: 4}})
}
