package methods

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/job"
	"carillon/model/nn"
)

// AllLinear as the only target module means every linear map but the head.
const AllLinear = "all-linear"

// peftPrefix begins the keys of PEFT's adapters that wrap the model.
const peftPrefix = "base_model.model."

// LoRA trains a low-rank correction beside each frozen linear map that it targets:
//
//	y = x·Wᵀ + b + (Alpha/R)·(drop(x)·Aᵀ)·Bᵀ,  A [R, in],  B [out, R]
//
// A starts uniform in ±1/√in, B at zero, so y starts at x·Wᵀ + b. (Hu et al., 2021,
// https://arxiv.org/abs/2106.09685, equation 3; layout, names and initial values
// as in PEFT, also where W is stored [in, out].)
type LoRA struct {
	R             int
	Alpha         float64
	Dropout       float64
	TargetModules []string // a module's path or its last parts, or AllLinear alone
}

// newLoRA reads the recipe's section lora.
func newLoRA(spec job.Spec) (nn.Method, error) {
	if spec.LoRA == nil {
		return nil, fmt.Errorf("method lora needs a section lora with r, lora_alpha and target_modules")
	}
	if b := spec.LoRA.Bias; b != "" && b != "none" {
		return nil, fmt.Errorf("lora.bias is %q; only none is built", b)
	}
	if s := spec.LoRA; s.UseDoRA || s.UseRSLoRA || s.LoraplusLRRatio > 0 || s.InitLoraWeights == "gaussian" || len(s.ExcludeModules)+len(s.LayersToTransform)+len(s.RankPattern)+len(s.AlphaPattern)+len(s.ModulesToSave) > 0 {
		return nil, fmt.Errorf("lora: only r, lora_alpha, lora_dropout and target_modules are built")
	}
	l := LoRA{spec.LoRA.R, spec.LoRA.LoraAlpha, spec.LoRA.LoraDropout, spec.LoRA.TargetModules}
	return l, l.validate()
}

func (l LoRA) validate() error {
	switch {
	case l.R < 1:
		return fmt.Errorf("lora.r is %d; it must be at least 1", l.R)
	case !(l.Alpha > 0) || math.IsInf(l.Alpha, 0):
		return fmt.Errorf("lora.lora_alpha is %v; it must be a number above 0", l.Alpha)
	case !(l.Dropout >= 0 && l.Dropout < 1):
		return fmt.Errorf("lora.lora_dropout is %v; it must be at least 0 and below 1", l.Dropout)
	case len(l.TargetModules) == 0:
		return fmt.Errorf("lora.target_modules is empty; name modules, or %s", AllLinear)
	}
	return nil
}

// heads are the modules that are trained beside the corrections, where a model has
// them: what PEFT calls modules_to_save, which it fills in so for classifiers.
var heads = []string{"classifier", "score"}

// Trains says no: the model's own parameters stay as they are, but for a
// classifier's head, which most often is a new one.
func (LoRA) Trains(name string) (string, bool) {
	for part := range strings.SplitSeq(name, ".") {
		if slices.Contains(heads, part) {
			return peftPrefix + name, true
		}
	}
	return "", false
}

// Check refuses a target that no linear map of the model has.
func (l LoRA) Check(linears []string) error {
	for _, target := range l.TargetModules {
		if !slices.ContainsFunc(linears, func(path string) bool { return matches(path, target) }) {
			return fmt.Errorf("lora.target_modules: the model has no linear module %q; it has %q", target, lastParts(linears))
		}
	}
	return nil
}

// Linear adds the correction to a targeted map.
func (l LoRA) Linear(p nn.Params, m nn.Linear) *Node {
	y := m.Apply(m.X)
	if m.Head && slices.Contains(l.TargetModules, AllLinear) || !slices.ContainsFunc(l.TargetModules, func(t string) bool { return matches(p.Path(), t) }) {
		return y
	}
	key := peftPrefix + p.Path()
	a := p.Trainable(key+".lora_A.weight", nn.Uniform(1/math.Sqrt(float64(m.In))), l.R, m.In)
	b := p.Trainable(key+".lora_B.weight", nn.Zero, m.Out, l.R)
	low := nn.MatT(p.Dropout(m.X, l.Dropout), a)                    // [..., R]
	return Add(y, nn.MatT(MulScalar(low, l.Alpha/float64(l.R)), b)) // [..., out]
}

// matches is PEFT's rule: the path itself, or its end after a dot.
func matches(path, target string) bool {
	return target == AllLinear || path == target || strings.HasSuffix(path, "."+target)
}

// lastParts returns the distinct last parts of paths.
func lastParts(paths []string) []string {
	last := map[string]bool{}
	for _, path := range paths {
		last[path[strings.LastIndex(path, ".")+1:]] = true
	}
	return slices.Sorted(maps.Keys(last))
}
