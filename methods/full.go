package methods

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dlclark/regexp2/v2"

	"carillon/job"
	"carillon/model/nn"
)

// Full trains the model's parameters, under their own names: all of them, or those
// that expressions name, and a classifier's head.
//
// With a layer decay the learning rate shrinks by that factor from each layer to
// the one below it (Howard and Ruder, 2018, https://arxiv.org/abs/1801.06146,
// section 3.2): of L layers, numbered from 0, layer i learns at decay^(L-i) of the
// rate, the embeddings at decay^(L+1), and what follows the layers at the rate itself.
type Full struct {
	unfrozen []*regexp2.Regexp // nil: all
	decay    float64           // 0 and 1: none
}

// newFull reads unfrozen_parameters and layer_lr_decay.
func newFull(spec job.Spec) (nn.Method, error) {
	f := Full{decay: spec.LayerLRDecay}
	if !(f.decay >= 0 && f.decay <= 1) {
		return nil, fmt.Errorf("layer_lr_decay is %v; it must be above 0 and at most 1", f.decay)
	}
	for _, expression := range spec.UnfrozenParameters {
		e, err := compile("unfrozen_parameters", `^(?:`+expression+`)`)
		if err != nil {
			return nil, err
		}
		f.unfrozen = append(f.unfrozen, e)
	}
	return f, nil
}

// Trains says yes to what is not frozen: what an expression matches from its start.
func (f Full) Trains(name string) (string, bool) {
	named := func(e *regexp2.Regexp) bool { return fits(e, name) }
	return name, f.unfrozen == nil || inHead(name) || slices.ContainsFunc(f.unfrozen, named)
}

// Check has nothing to ask for.
func (Full) Check([]string) error { return nil }

// CheckNames refuses an expression that matches no parameter.
func (f Full) CheckNames(parameters []string) error {
	for _, e := range f.unfrozen {
		if !slices.ContainsFunc(parameters, func(name string) bool { return fits(e, name) }) {
			return fmt.Errorf("unfrozen_parameters: %s matches no parameter from its start; the model has %q and %d more", written(e), parameters[:min(3, len(parameters))], max(0, len(parameters)-3))
		}
	}
	return nil
}

// written is the recipe's text of an expression for the start of a name.
func written(e *regexp2.Regexp) string {
	return strings.TrimSuffix(strings.TrimPrefix(e.String(), "^(?:"), ")")
}

// Rates are those of the layers.
func (f Full) Rates(keys []string) []float64 {
	rates := slices.Repeat([]float64{1}, len(keys))
	if f.decay == 0 || f.decay == 1 {
		return rates
	}
	layers := 0
	for _, key := range keys {
		if n, ok := numberOf(key); ok {
			layers = max(layers, n+1)
		}
	}
	for i, key := range keys {
		switch n, ok := numberOf(key); {
		case ok:
			rates[i] = power(f.decay, layers-n)
		case isEmbedding(key):
			rates[i] = power(f.decay, layers+1)
		}
	}
	return rates
}

// power returns xⁿ, with the same bits on every machine, which math.Pow does not
// promise.
func power(x float64, n int) float64 {
	p := 1.0
	for range n {
		p *= x
	}
	return p
}

var firstNumber = regexp.MustCompile(`\.(\d+)\.`)

// numberOf returns the number of the layer that a parameter is of.
func numberOf(name string) (int, bool) {
	found := firstNumber.FindStringSubmatch(name)
	if found == nil {
		return 0, false
	}
	n, err := strconv.Atoi(found[1])
	return n, err == nil
}

// isEmbedding says whether a parameter is used before the first layer.
func isEmbedding(name string) bool {
	return slices.ContainsFunc([]string{"embed", "wte.", "wpe.", "shared."}, func(part string) bool { return strings.Contains(name, part) })
}
