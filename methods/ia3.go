package methods

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/job"
	"carillon/model/nn"
)

// IA3 trains one factor for each output of the maps that it targets, or for each
// input of those that are feed-forward modules:
//
//	y = l ⊙ (x·Wᵀ + b),  l [out, 1]        or        y = (l ⊙ x)·Wᵀ + b,  l [1, in]
//
// The factors start at 1, so y starts as it is. (Liu et al., 2022,
// https://arxiv.org/abs/2205.05638, section 3.3; names and shapes as in PEFT.)
type IA3 struct {
	targets     targets
	feedForward selection
	usual       bool // the targets are those that every family has some of
}

// The modules that are targeted where a recipe names none: keys, values (of GPT-2,
// queries too, which come of the same map) and the second map of the feed-forward
// part, by their names in each family. In BERT's, attention's output map ends like
// the latter and is one of them, as in PEFT.
var (
	usualOutputs = []string{"c_attn", "k_proj", "v_proj", "key", "value", "k_lin", "v_lin", "k", "v"}
	usualInputs  = []string{"mlp.c_proj", "down_proj", "output.dense", "ffn.lin2", "wo"}
)

// newIA3 reads the recipe's section ia3.
func newIA3(spec job.Spec) (nn.Method, error) {
	var c job.IA3
	if spec.IA3 != nil {
		c = *spec.IA3
	}
	usual := len(c.TargetModules) == 0
	if usual {
		if len(c.FeedforwardModules) == 0 {
			c.FeedforwardModules = usualInputs
		}
		c.TargetModules = slices.Concat(usualOutputs, c.FeedforwardModules)
	}
	t, err := newTargets("ia3", c.TargetModules, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	f, err := newSelection("ia3.feedforward_modules", c.FeedforwardModules)
	if err != nil {
		return nil, err
	}
	for _, name := range c.FeedforwardModules {
		if !t.include.all() && t.include.expression == nil && f.expression == nil && !slices.Contains(c.TargetModules, name) {
			return nil, fmt.Errorf("ia3.feedforward_modules: %q is not among ia3.target_modules %q", name, c.TargetModules)
		}
	}
	return IA3{t, f, usual}, nil
}

// Trains says no but to a classifier's head.
func (IA3) Trains(name string) (string, bool) { return peftPrefix + name, inHead(name) }

// Check refuses a target that no module of the model has.
func (m IA3) Check(modules []string) error {
	if m.usual {
		m.targets.include.names = slices.DeleteFunc(slices.Clone(m.targets.include.names), func(name string) bool {
			return !slices.ContainsFunc(modules, func(path string) bool { return endsIn(path, name) })
		})
	}
	return m.targets.check(modules)
}

// Linear scales a targeted map.
func (m IA3) Linear(p nn.Params, l nn.Linear) *Node {
	key := peftPrefix + p.Path() + ".ia3_l"
	switch {
	case !m.targets.linear(p.Path(), l.Head):
		return l.Apply(l.X)
	case m.feedForward.has(p.Path()):
		return l.Apply(times(l.X, Reshape(p.Trainable(key, nn.One, 1, l.In), l.In)))
	default:
		return times(l.Apply(l.X), Reshape(p.Trainable(key, nn.One, l.Out, 1), l.Out))
	}
}
