package job

import (
	"cmp"
	"encoding/json"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// defaults is a recipe that says nothing. What depends on other keys is left to
// derive.
func defaults(file string) Spec {
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	return Spec{
		SequenceLen: 512, OnBadRow: "error", Balance: "none",
		Lanes: 8, MicroBatchSize: 1, Seed: 42,
		LayerLRDecay: 1, Optimizer: "adamw", LRScheduler: "cosine", LearningRate: unset,
		AdamBeta1: 0.9, AdamBeta2: 0.999, AdamEpsilon: 1e-8, MaxGradNorm: 1,
		Compression: "q8", Algorithm: "auto",
		SaveSteps: 100, SaveTotalLimit: 3, SaveDtype: "float32",
		LoggingSteps: 1, OutputDir: "runs/" + name,
		Nodes: 1, MinNodes: 1, CPUThreads: 4,
	}
}

// unset marks a learning rate that nobody has set: 0 is a mistake that somebody
// may have made.
var unset = math.NaN()

// sectionDefaults returns a pointer to a method's section that says nothing. They
// are PEFT's and AdapterHub's, but for LoRA's target (PEFT knows one for each
// model) and for what prompts begin as (random ones hardly learn).
func sectionDefaults(section reflect.Type) reflect.Value {
	v := reflect.New(section)
	switch s := v.Interface().(type) {
	case *LoRA:
		*s = LoRA{R: 8, LoraAlpha: 8, TargetModules: []string{"all-linear"}, Bias: "none"}
	case *Bottleneck:
		s.Architecture = "seq_bn"
	case *Prompt:
		*s = Prompt{NumVirtualTokens: 20, PromptTuningInit: "sample_vocab"}
	case *Prefix:
		s.NumVirtualTokens = 20
	case *Feature:
		*s = Feature{Pooling: "mean", Classifier: "logistic"}
	}
	return v
}

// sectionOf are the sections that configure methods, by the methods.
var sectionOf = map[string]string{"lora": "lora", "adapter": "bottleneck", "prompt": "prompt", "prefix": "prefix", "ia3": "ia3", "feature": "feature"}

// sectionField returns the pointer to the section of that name.
func (s *Spec) sectionField(name string) reflect.Value {
	return reflect.ValueOf(s).Elem().Field(sections[""][name])
}

// WithMethod returns s with the method of other, and the section that configures it.
func (s Spec) WithMethod(other Spec) Spec {
	s.Method = other.Method
	for _, name := range sectionOf {
		s.sectionField(name).Set(other.sectionField(name))
	}
	return s
}

// Section returns the section that configures the spec's method, as JSON; nil where
// the method has none.
func (s Spec) Section() (json.RawMessage, error) {
	name := sectionOf[s.Method]
	if name == "" || s.sectionField(name).IsNil() {
		return nil, nil
	}
	return json.Marshal(s.sectionField(name).Interface())
}

// WithSectionOf returns s with the section that configures its method from other,
// where s has none, and what follows from it.
func (s Spec) WithSectionOf(other Spec) Spec {
	if name := sectionOf[s.Method]; name != "" && s.sectionField(name).IsNil() {
		s.forget()
		s.sectionField(name).Set(other.sectionField(name))
		s.derive()
	}
	return s
}

// learningRates are what people start from: they differ by orders of magnitude
// between methods. Those of adapter, prompt and prefix are what was best, or next to
// it, of five on a small encoder and 1,600 short texts; the libraries' own (1e-4,
// 1e-3, 5e-3) learn little there in a few hundred steps, or nothing.
var learningRates = map[string]float64{
	"full": 2e-5, "lora": 2e-4, "adapter": 1e-3, "prompt": 1e-2, "prefix": 1e-2, "ia3": 1e-3, "bitfit": 5e-4,
	"feature": 1, // it is fitted to convergence, and the optimizer finds its own steps
}

// projectedRate is that of a prefix that a network makes, and parallelRate that of
// bottlenecks whose outputs are scaled up.
const (
	projectedRate = 5e-5
	parallelRate  = 3e-4
)

// rate is the learning rate that a method starts from, 0 if it is not known.
func (s *Spec) rate() float64 {
	if s.Method == "prefix" && s.Prefix != nil && s.Prefix.PrefixProjection {
		return projectedRate
	}
	if s.Method == "adapter" && s.Bottleneck != nil && s.Bottleneck.Architecture == "par_bn" {
		return parallelRate
	}
	return learningRates[s.Method]
}

// LearningRate is what the spec's method starts from where a recipe says nothing.
func LearningRate(s Spec) float64 { return s.rate() }

// derive fills in what is not set and follows from other keys.
func (s *Spec) derive() {
	if s.Buckets == nil {
		s.Buckets = []int{s.SequenceLen}
	}
	if rate := s.rate(); rate > 0 && math.IsNaN(s.LearningRate) {
		s.LearningRate = rate
	}
	if s.MaxSteps == 0 && s.NumEpochs == 0 {
		s.NumEpochs = 1
	}
	if name, ok := sectionOf[s.Method]; ok && s.InitFrom == "" {
		made(s.sectionField(name))
	}
}

// forget takes back what derive filled in, so that it follows the next change.
func (s *Spec) forget() {
	if slices.Equal(s.Buckets, []int{s.SequenceLen}) {
		s.Buckets = nil
	}
	if s.LearningRate == s.rate() {
		s.LearningRate = unset
	}
	if s.MaxSteps == 0 && s.NumEpochs == 1 {
		s.NumEpochs = 0
	}
	if name, ok := sectionOf[s.Method]; ok {
		section := s.sectionField(name)
		if !section.IsNil() && reflect.DeepEqual(section.Interface(), sectionDefaults(section.Type().Elem()).Interface()) {
			section.SetZero()
		}
	}
}

// maskedShare is the share of tokens that Devlin et al. (2019) ask for.
const maskedShare = 0.15

// SetTask says what the model learns, and what becomes of long examples where
// the recipe does not: a class or number can be given to the start of a text,
// but half an answer teaches to stop half way. A text with hidden words is as good
// in pieces, and no word is left out.
func (s *Spec) SetTask(task string) {
	s.TaskType = task
	if task == MaskedLM {
		s.MLMProbability = cmp.Or(s.MLMProbability, maskedShare)
		return
	}
	if s.ExcessLengthStrategy != "" {
		return
	}
	s.ExcessLengthStrategy = "drop"
	if task == SeqCls || task == Regression {
		s.ExcessLengthStrategy = "truncate"
	}
}

// ResolvedAs fills in what s leaves to the data, as it was found to be for the
// same job before.
func (s Spec) ResolvedAs(saved Spec) Spec {
	s.TaskType = cmp.Or(s.TaskType, saved.TaskType)
	s.MLMProbability = cmp.Or(s.MLMProbability, saved.MLMProbability)
	s.ExcessLengthStrategy = cmp.Or(s.ExcessLengthStrategy, saved.ExcessLengthStrategy)
	if s.Labels == nil {
		s.Labels = saved.Labels
	}
	if s.ClassWeights == nil {
		s.ClassWeights = saved.ClassWeights
	}
	if s.InitFrom != "" && s.Method == saved.Method {
		s.InitSHA256 = cmp.Or(s.InitSHA256, saved.InitSHA256)
		s = s.WithSectionOf(saved)
	}
	return s
}
