package ask

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"carillon/job"
	"carillon/shard"
)

// ErrNoShots is in the chain of what Shots returns where examples cannot stand in a
// prompt.
var ErrNoShots = errors.New("no examples in a prompt")

// Shots returns what a plan evaluates of a set, with k training examples in front of
// each, the same ones for all, and the plan for that: what a model makes of examples
// that it is only shown. The examples are the first that a job with this plan would
// train on. Their own answers are not asked for. longest is how many tokens a prompt
// with its answer may have; fewer examples are shown where k do not fit. shown is
// how many. The set's file is gone when it is closed.
func Shots(set *shard.Set, plan shard.Plan, k, longest int) (with *shard.Set, p shard.Plan, shown int, err error) {
	held := evaluated(set, plan)
	if set.Info().Task.String() != job.CausalLM || !slices.ContainsFunc(held, asks) {
		return nil, p, 0, fmt.Errorf("the data has no prompts: %w", ErrNoShots)
	}
	front, shown := shots(set, plan, k, longest-set.MaxLen())
	if shown == 0 {
		return nil, p, 0, fmt.Errorf("with the shortest example in front, a prompt is longer than %d tokens: %w", longest, ErrNoShots)
	}
	for i, x := range held {
		held[i].Tokens = slices.Concat(front, x.Tokens)
		held[i].Labels = slices.Concat(slices.Repeat([]int32{shard.Ignore}, len(front)), x.Labels)
	}
	dir, err := os.MkdirTemp("", "carillon-")
	if err != nil {
		return nil, p, 0, err
	}
	defer os.RemoveAll(dir) // an open set is mapped, and needs no name
	path := filepath.Join(dir, "shots.shard")
	if _, err := shard.Build(path, set.Info(), append(held, set.Example(0))); err != nil {
		return nil, p, 0, err
	}
	with, err = shard.Open(path)
	plan.EvalExamples, plan.Buckets = 0, []int{len(front) + set.MaxLen()}
	return with, plan, shown, err
}

// asks says whether an example is one prompt with its answer.
func asks(x shard.Example) bool { return len(x.Starts) == 0 && slices.Contains(x.Labels, shard.Ignore) }

// evaluated are the held-out examples that a plan evaluates.
func evaluated(set *shard.Set, plan shard.Plan) (held []shard.Example) {
	for i := range set.EvalLen(plan) {
		held = append(held, set.EvalExample(i))
	}
	return held
}

// shots are at most k examples one after the other, in at most room tokens.
func shots(set *shard.Set, plan shard.Plan, k, room int) (tokens []int32, shown int) {
	for p := range uint64(k) {
		_, i := set.Epoch(plan.Seed, p)
		x := set.Example(i)
		if len(x.Starts) > 0 || len(tokens)+len(x.Tokens) > room {
			break
		}
		tokens = append(tokens, x.Tokens...)
		shown++
	}
	return tokens, shown
}
