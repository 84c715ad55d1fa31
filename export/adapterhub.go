package export

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"carillon/job"
	"carillon/safetensors"
)

// The names that AdapterHub gives an adapter's files. It loads ours by
// load_adapter(dir, use_safetensors=True).
const (
	hubWeightsFile    = "adapter.safetensors"
	hubHeadFile       = "model_head.safetensors"
	hubHeadConfigFile = "head_config.json"
	hubVersion        = "adapters.1.3.0" // whose form this is
	hubName           = "carillon"       // an adapter of ours, in its keys: methods.AdapterName
)

// hubConfig is adapter_config.json, and with more in it head_config.json.
type hubConfig struct {
	Config     *bottleneckConfig `json:"config"`
	HiddenSize int               `json:"hidden_size"`
	ModelClass string            `json:"model_class"`
	ModelName  string            `json:"model_name"`
	ModelType  string            `json:"model_type"`
	Name       *string           `json:"name"`
	Version    string            `json:"version"`
}

type hubHeadConfig struct {
	hubConfig
	Labels    map[string]int `json:"label2id"`
	NumLabels int            `json:"num_labels"`
}

// bottleneckConfig is a bottleneck in AdapterHub's words.
type bottleneckConfig struct {
	ResidualInNorm   bool    `json:"adapter_residual_before_ln"`
	CrossAdapter     bool    `json:"cross_adapter"`
	Dropout          decimal `json:"dropout"`
	InitWeights      string  `json:"init_weights"`
	InitSeed         any     `json:"init_weights_seed"`
	Invertible       any     `json:"inv_adapter"`
	InvertibleFactor any     `json:"inv_adapter_reduction_factor"`
	Parallel         bool    `json:"is_parallel"`
	LeaveOut         []int   `json:"leave_out"`
	LNAfter          bool    `json:"ln_after"`
	LNBefore         bool    `json:"ln_before"`
	AfterAttention   bool    `json:"mh_adapter"`
	NonLinearity     string  `json:"non_linearity"`
	OriginalLNAfter  bool    `json:"original_ln_after"`
	OriginalLNBefore bool    `json:"original_ln_before"`
	AfterFeedForward bool    `json:"output_adapter"`
	PHM              bool    `json:"phm_layer"`
	ReductionFactor  factors `json:"reduction_factor"`
	ResidualBeforeLN bool    `json:"residual_before_ln"`
	Scaling          scaling `json:"scaling"`
	StochasticDepth  decimal `json:"stochastic_depth"`
	Gating           bool    `json:"use_gating"`
	Architecture     *string `json:"architecture,omitempty"` // of a bottleneck: null
}

// phmDefaults are the keys of layers that are not built.
var phmDefaults = map[string]any{
	"factorized_phm_W": true, "factorized_phm_rule": false, "hypercomplex_nonlinearity": "glorot-uniform", "learn_phm": true,
	"phm_bias": true, "phm_c_init": "normal", "phm_dim": 4, "phm_init_range": 0.0001, "phm_rank": 1, "shared_W_phm": false,
	"shared_phm_rule": true,
}

// MarshalJSON adds those keys.
func (c bottleneckConfig) MarshalJSON() ([]byte, error) {
	type plain bottleneckConfig
	return sorted(plain(c), phmDefaults)
}

// decimal is a number that is written with a point: AdapterHub tells 1.0 from 1.
type decimal float64

// MarshalJSON writes 1 as 1.0.
func (d decimal) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(d), 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return []byte(text), nil
}

// scaling is a number, or how it is trained: learned or channel.
type scaling struct {
	number decimal
	learnt string
}

// MarshalJSON writes one of the two.
func (s scaling) MarshalJSON() ([]byte, error) {
	if s.learnt != "" {
		return json.Marshal(s.learnt)
	}
	return s.number.MarshalJSON()
}

// UnmarshalJSON reads one of the two.
func (s *scaling) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &s.learnt)
	}
	return json.Unmarshal(b, (*float64)(&s.number))
}

// factors are one number for all layers, or a number for some and a default.
type factors struct {
	all  float64
	each map[string]float64
}

const otherLayers = "default"

// MarshalJSON writes a number where one is enough.
func (f factors) MarshalJSON() ([]byte, error) {
	if len(f.each) == 0 {
		return json.Marshal(f.all)
	}
	keys := map[string]float64{otherLayers: f.all}
	for layer, factor := range f.each {
		keys[layer] = factor
	}
	return json.Marshal(keys)
}

// UnmarshalJSON reads a number or a map.
func (f *factors) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return json.Unmarshal(b, &f.all)
	}
	if err := json.Unmarshal(b, &f.each); err != nil {
		return err
	}
	f.all = f.each[otherLayers]
	delete(f.each, otherLayers)
	return nil
}

// hubAdapter makes dir an AdapterHub directory of bottlenecks, and of a classifier's
// head in files of its own. A head that was not trained is the base's, and is not
// written again.
func hubAdapter(dir string, a AdapterInfo, tensors []safetensors.Tensor) (sum string, err error) {
	head, bottlenecks := headAfter("", tensors)
	if err := checkHead(a.Spec.TaskType, head); err != nil {
		return "", err
	}
	c, err := a.hub(bottlenecks)
	if err != nil {
		return "", err
	}
	err = publish(dir, earlierAdapter, func(tmp string) error {
		if sum, err = writeWeights(filepath.Join(tmp, hubWeightsFile), safetensors.F32, bottlenecks); err != nil {
			return err
		}
		if err := cmp.Or(writeConfig(filepath.Join(tmp, adapterConfigFile), c), a.writeNote(tmp)); err != nil || len(head) == 0 {
			return err
		}
		sum, err = a.writeHead(tmp, c, head)
		return err
	})
	return sum, err
}

// writeHead adds a classifier's head to dir, and returns the hash of both files.
func (a AdapterInfo) writeHead(dir string, c hubConfig, head []safetensors.Tensor) (sum string, err error) {
	if _, err := writeWeights(filepath.Join(dir, hubHeadFile), safetensors.F32, head); err != nil {
		return "", err
	}
	if err := writeConfig(filepath.Join(dir, hubHeadConfigFile), a.hubHead(c)); err != nil {
		return "", err
	}
	return Sum(dir)
}

func writeConfig(path string, config any) error {
	text, err := sorted(config, nil)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// hub makes adapter_config.json.
func (a AdapterInfo) hub(tensors []safetensors.Tensor) (c hubConfig, err error) {
	if a.Spec.Bottleneck == nil {
		return c, fmt.Errorf("the job has no section bottleneck")
	}
	for _, t := range tensors {
		if !strings.Contains(t.Name, ".adapters."+hubName+".") {
			return c, fmt.Errorf("tensor %q is no part of a bottleneck", t.Name)
		}
	}
	name := hubName
	c = hubConfig{ModelName: a.Base, Name: &name, Version: hubVersion}
	if c.HiddenSize, err = a.number("hidden_size", "n_embd", "d_model", "dim"); err != nil {
		return c, err
	}
	_ = json.Unmarshal(a.Model["model_type"], &c.ModelType) // no text: classOf says so
	if c.ModelClass, err = classOf(a.Model, a.purpose()); err != nil {
		return c, err
	}
	c.Config = bottleneckOf(*a.Spec.Bottleneck, c.HiddenSize)
	return c, nil
}

// purpose is how the name of the model's class ends.
func (a AdapterInfo) purpose() string {
	switch {
	case isHead(a.Spec.TaskType):
		return "ForSequenceClassification"
	case a.Spec.TaskType == job.MaskedLM:
		return "ForMaskedLM"
	case string(a.Model["is_encoder_decoder"]) == "true":
		return "ForConditionalGeneration"
	case string(a.Model["model_type"]) == `"gpt2"`:
		return "LMHeadModel"
	}
	return "ForCausalLM"
}

// hubHead makes head_config.json: the model's own head, under no name.
func (a AdapterInfo) hubHead(c hubConfig) hubHeadConfig {
	h := hubHeadConfig{c, map[string]int{}, len(a.Spec.Labels)}
	h.Config, h.Name = nil, nil
	for i, label := range a.Spec.Labels {
		h.Labels[label] = i
	}
	if a.Spec.TaskType == job.Regression {
		h.Labels, h.NumLabels = map[string]int{"LABEL_0": 0}, 1
	}
	return h
}

// hubKinds are AdapterHub's configurations of the architectures: seq_bn, double_seq_bn
// and par_bn.
var hubKinds = map[string]bottleneckConfig{
	"seq_bn":        {NonLinearity: "relu", OriginalLNBefore: true, ReductionFactor: factors{all: 16}, Scaling: scaling{number: 1}, InitWeights: "bert"},
	"double_seq_bn": {NonLinearity: "swish", AfterAttention: true, ReductionFactor: factors{all: 16}, Scaling: scaling{number: 1}, InitWeights: "bert"},
	"par_bn":        {NonLinearity: "relu", Parallel: true, ReductionFactor: factors{all: 2}, Scaling: scaling{number: 4}, InitWeights: "mam_adapter"},
}

// bottleneckOf says a recipe's section in AdapterHub's words, for a model of a width.
func bottleneckOf(b job.Bottleneck, width int) *bottleneckConfig {
	c := hubKinds[b.Architecture]
	c.AfterFeedForward, c.OriginalLNAfter, c.ResidualBeforeLN, c.LeaveOut = true, true, true, []int{}
	c.ReductionFactor = factors{cmp.Or(b.ReductionFactor, c.ReductionFactor.all), b.ReductionFactors}
	if b.BottleneckSize > 0 {
		c.ReductionFactor = factors{all: narrowing(width, b.BottleneckSize)}
	}
	c.NonLinearity, c.InitWeights = cmp.Or(b.NonLinearity, c.NonLinearity), cmp.Or(b.InitWeights, c.InitWeights)
	c.Scaling = scaling{cmp.Or(decimal(b.Scaling), c.Scaling.number), b.LearnScaling}
	c.LNBefore, c.LNAfter, c.CrossAdapter = b.LNBefore, b.LNAfter, b.CrossAdapter
	c.LeaveOut = append(c.LeaveOut, b.LeaveOut...)
	if b.OriginalLNBefore != nil {
		c.OriginalLNBefore = *b.OriginalLNBefore
	}
	if b.ResidualBeforeLN != nil {
		c.ResidualBeforeLN = *b.ResidualBeforeLN
	}
	return &c
}

// narrowing is a factor by which AdapterHub finds a size: width // factor.
func narrowing(width, size int) float64 {
	if width%size == 0 {
		return float64(width / size)
	}
	return float64(width) / (float64(size) + 0.5)
}

// recipe says a bottleneck in the words of our recipes, or what of it is not built.
func (c bottleneckConfig) recipe() (*job.Bottleneck, error) {
	for _, part := range []struct {
		key string
		set bool
	}{
		{"architecture", c.Architecture != nil}, {"adapter_residual_before_ln", c.ResidualInNorm}, {"dropout", c.Dropout != 0},
		{"inv_adapter", c.Invertible != nil}, {"phm_layer", c.PHM}, {"stochastic_depth", c.StochasticDepth != 0}, {"use_gating", c.Gating},
		{"mh_adapter beside is_parallel", c.AfterAttention && c.Parallel},
	} {
		if part.set {
			return nil, fmt.Errorf("%s is set, which is not built", part.key)
		}
	}
	if !c.AfterFeedForward || !c.OriginalLNAfter {
		return nil, fmt.Errorf("output_adapter is %v and original_ln_after %v; only true is built", c.AfterFeedForward, c.OriginalLNAfter)
	}
	b := &job.Bottleneck{
		Architecture: "seq_bn", ReductionFactor: c.ReductionFactor.all, ReductionFactors: c.ReductionFactor.each, LeaveOut: c.LeaveOut,
		NonLinearity: c.NonLinearity, LearnScaling: c.Scaling.learnt, LNBefore: c.LNBefore, LNAfter: c.LNAfter,
		OriginalLNBefore: &c.OriginalLNBefore, ResidualBeforeLN: &c.ResidualBeforeLN, CrossAdapter: c.CrossAdapter,
	}
	switch {
	case c.Parallel:
		b.Architecture = "par_bn"
	case c.AfterAttention:
		b.Architecture = "double_seq_bn"
	}
	if b.LearnScaling == "" {
		b.Scaling = float64(c.Scaling.number)
	}
	if !(b.ReductionFactor > 0) || b.LearnScaling == "" && !(b.Scaling > 0) {
		return nil, fmt.Errorf("reduction_factor is %v and scaling %v; both must be above 0", b.ReductionFactor, b.Scaling)
	}
	return b, nil
}
