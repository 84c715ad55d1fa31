package methods

import (
	"fmt"
	"math"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/job"
	"carillon/model/nn"
)

// LoRA trains a low-rank correction beside each frozen map W [out, in] that it
// targets:
//
//	y = x·Wᵀ + b + s·(drop(x)·Aᵀ)·Bᵀ,  A [R, in],  B [out, R],  s = LoraAlpha/R
//
// A starts uniform in ±1/√in (gaussian: normal with deviation 1/R), B at zero, so y
// starts at x·Wᵀ + b. (Hu et al., 2021, https://arxiv.org/abs/2106.09685, equation 3;
// layout, names and initial values as in PEFT, also where W is stored [in, out].)
//
// UseRSLoRA makes s = LoraAlpha/√R (Kalajdzievski, 2023,
// https://arxiv.org/abs/2312.03732). LoraplusLRRatio multiplies the learning rate of
// B and of all vectors (LoRA+: Hayou et al., 2024, https://arxiv.org/abs/2402.12354).
type LoRA struct {
	job.LoRA
	targets targets
	ranks   patterns[int]
	alphas  patterns[float64]
	lookups float64 // what the learning rate of corrected embeddings is multiplied by
}

// newLoRA reads the recipe's section lora.
func newLoRA(spec job.Spec) (nn.Method, error) {
	if spec.LoRA == nil {
		return nil, fmt.Errorf("method lora needs a section lora with r, lora_alpha and target_modules")
	}
	l := LoRA{LoRA: *spec.LoRA, lookups: embeddingRate / spec.LearningRate}
	err := l.validate()
	if err == nil {
		l.targets, err = newTargets("lora", l.TargetModules, l.ExcludeModules, l.ModulesToSave, l.LayersToTransform)
	}
	if err == nil {
		l.ranks, err = newPatterns("lora.rank_pattern", l.RankPattern)
	}
	if err == nil {
		l.alphas, err = newPatterns("lora.alpha_pattern", l.AlphaPattern)
	}
	return l, err
}

func (l LoRA) validate() error {
	switch {
	case l.R < 1:
		return fmt.Errorf("lora.r is %d; it must be at least 1", l.R)
	case !positive(l.LoraAlpha):
		return fmt.Errorf("lora.lora_alpha is %v; it must be a number above 0", l.LoraAlpha)
	case !(l.LoraDropout >= 0 && l.LoraDropout < 1):
		return fmt.Errorf("lora.lora_dropout is %v; it must be at least 0 and below 1", l.LoraDropout)
	case !slices.Contains([]string{"", "none", "all", "lora_only"}, l.Bias):
		return fmt.Errorf("lora.bias is %q; it must be none, all or lora_only", l.Bias)
	case !slices.Contains([]string{"", "default", "gaussian"}, l.InitLoraWeights):
		return fmt.Errorf("lora.init_lora_weights is %q; it must be default or gaussian", l.InitLoraWeights)
	case l.LoraplusLRRatio != 0 && !positive(l.LoraplusLRRatio):
		return fmt.Errorf("lora.loraplus_lr_ratio is %v; it must be a number above 0", l.LoraplusLRRatio)
	}
	for name, r := range l.RankPattern {
		if r < 1 {
			return fmt.Errorf("lora.rank_pattern: %s is %d; it must be at least 1", name, r)
		}
	}
	for name, alpha := range l.AlphaPattern {
		if !positive(alpha) {
			return fmt.Errorf("lora.alpha_pattern: %s is %v; it must be a number above 0", name, alpha)
		}
	}
	return nil
}

func positive(x float64) bool { return x > 0 && !math.IsInf(x, 0) }

// Trains says yes to what is trained whole, and to biases if all are.
func (l LoRA) Trains(name string) (string, bool) {
	return peftPrefix + name, l.saves(name) || l.Bias == "all" && strings.HasSuffix(name, ".bias")
}

// saves says whether a parameter is of a module that is trained whole: a
// classifier's head always is. PEFT goes by the end of the module's path.
func (l LoRA) saves(name string) bool {
	for i, c := range name {
		if c == '.' && slices.ContainsFunc(l.ModulesToSave, func(m string) bool { return strings.HasSuffix(name[:i], m) }) {
			return true
		}
	}
	return inHead(name)
}

// TrainsBias says yes to the biases of the maps that Bias names.
func (l LoRA) TrainsBias(path string) (string, bool) {
	target := l.targets.linear(path, false)
	switch {
	case l.saves(path + ".bias"):
		return peftPrefix + path + ".bias", true
	case target && (l.Bias == "all" || l.Bias == "lora_only"):
		return peftPrefix + path + ".base_layer.bias", true
	}
	return peftPrefix + path + ".bias", l.Bias == "all"
}

// Check refuses a target that no module of the model has.
func (l LoRA) Check(modules []string) error { return l.targets.check(modules) }

// CheckNames refuses a module to train whole that the model does not have.
func (l LoRA) CheckNames(parameters []string) error {
	for _, m := range l.ModulesToSave {
		one := LoRA{LoRA: job.LoRA{ModulesToSave: []string{m}}}
		if !slices.Contains(heads, m) && !slices.ContainsFunc(parameters, one.saves) {
			return fmt.Errorf("lora.modules_to_save: the model has no module %q with parameters of its own; it has %q", m, byDistance(m, moduleNames(parameters)))
		}
	}
	return nil
}

// moduleNames returns the distinct last parts of the modules that parameters are in.
func moduleNames(parameters []string) []string {
	modules := make([]string, len(parameters))
	for i, name := range parameters {
		modules[i] = name[:max(0, strings.LastIndex(name, "."))]
	}
	return lastParts(modules)
}

// embeddingRate is the learning rate of an embedding's correction with LoRA+, by
// PEFT's default.
const embeddingRate = 1e-6

// Rates are 1 but for LoRA+.
func (l LoRA) Rates(keys []string) []float64 {
	rates := slices.Repeat([]float64{1}, len(keys))
	if l.LoraplusLRRatio == 0 {
		return rates
	}
	for i, key := range keys {
		switch {
		case strings.Contains(key, ".lora_embedding_"):
			rates[i] = l.lookups
		case strings.HasSuffix(key, ".lora_B.weight"), strings.HasSuffix(key, "bias"), strings.HasSuffix(key, endMagnitude):
			rates[i] = l.LoraplusLRRatio
		}
	}
	return rates
}

// Scale returns s, which the correction of a module is multiplied by.
func (l LoRA) Scale(path string) float64 {
	alpha, r := l.alphas.of(path, l.LoraAlpha), float64(l.Rank(path))
	if l.UseRSLoRA {
		return alpha / math.Sqrt(r)
	}
	return alpha / r
}

// Rank returns the rank of the correction of a module.
func (l LoRA) Rank(path string) int { return l.ranks.of(path, l.R) }

// Linear adds the correction to a targeted map.
func (l LoRA) Linear(p nn.Params, m nn.Linear) *Node {
	path := p.Path()
	if !l.targets.linear(path, m.Head) {
		return m.Apply(m.X)
	}
	r, key := l.rankFor(path, m.In, m.Out), peftPrefix+path
	first := nn.Uniform(1 / math.Sqrt(float64(m.In)))
	if l.InitLoraWeights == "gaussian" {
		first = nn.Normal(1 / float64(r))
	}
	if l.UseDoRA {
		return l.directed(p, m, first)
	}
	y := m.Apply(m.X)
	a := p.Trainable(key+".lora_A.weight", first, r, m.In)
	b := p.Trainable(key+".lora_B.weight", nn.Zero, m.Out, r)
	low := nn.MatT(p.Dropout(m.X, l.LoraDropout), a)         // [..., R]
	return Add(y, nn.MatT(MulScalar(low, l.Scale(path)), b)) // [..., out]
}

// rankFor is the rank for a map, which must not be more than the map's own.
func (l LoRA) rankFor(path string, in, out int) int {
	r, key := l.Rank(path), "lora.r"
	if r != l.R {
		key = "lora.rank_pattern"
	}
	if most := min(in, out); r > most {
		panic(fmt.Errorf("%s is %d for %s, which is a map from %d to %d; want at most %d", key, r, path, in, out, most))
	}
	return r
}

// Embedding adds the correction to a targeted table E [V, d]: E[ids] + s·A[:, ids]ᵀ·Bᵀ,
// A [R, V] starting at zero, B [d, R] normal. There is no dropout in it.
func (l LoRA) Embedding(p nn.Params, e nn.Lookup) *Node {
	path := p.Path()
	x := nn.Embedding(e.Table, e.IDs)
	if !l.targets.embedding(path) {
		return x
	}
	dims := e.Table.Shape().Dimensions
	r, key := l.rankFor(path, dims[0], dims[1]), peftPrefix+path
	if l.UseDoRA {
		panic(fmt.Errorf("lora.use_dora with the embedding %s in target_modules; want linear maps alone", path))
	}
	a := p.Trainable(key+".lora_embedding_A", nn.Zero, r, dims[0])
	b := p.Trainable(key+".lora_embedding_B", nn.Normal(1), dims[1], r)
	low := nn.Embedding(Transpose(a, 0, 1), e.IDs)           // [B, T, R]
	return Add(x, nn.MatT(MulScalar(low, l.Scale(path)), b)) // [B, T, d]
}
