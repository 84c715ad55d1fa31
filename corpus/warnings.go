package corpus

import (
	"cmp"
	"fmt"
	"slices"

	"carillon/job"
)

// enough is how many training examples a method should have. With fewer it
// tends to learn them by heart (all weights), or does not settle (prompts).
var enough = map[string]int{"full": 1000, "lora": 100, "adapter": 100, "prompt": 200, "prefix": 200}

// Warnings returns what a user should know before the job runs, a sentence each.
func (r Report) Warnings() []string {
	var out []string
	warn := func(is bool, format string, args ...any) {
		if is {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	warn(r.Examples < enough[r.Method], "%s for method %s, which wants %d or more: watch the held-out loss",
		counted(r.Examples, "example"), r.Method, enough[r.Method])
	few, many := r.extremes()
	warn(many.Train > 10*few.Train && r.Balance == "none", "class %q has more than ten times the examples of %q: consider balance: weights or sampling", many.Name, few.Name)
	warn(r.EmptyCompletions > 0, "%s without a word: the model learns to say nothing", counted(r.EmptyCompletions, "completion"))
	warn(r.MaskShare*float64(r.Learnt) < float64(r.Examples) && r.Task == job.MaskedLM, "texts are so short that more than mlm_probability %v of them is asked for: one token of each at least",
		r.MaskShare)
	warn(r.HeldOut == 0, "nothing is held out, so that overfitting will not be seen: set val_set_size or test_datasets")
	tooLong, all := r.Dropped+r.Truncated, r.Examples+r.HeldOutExamples+r.Dropped
	warn(20*tooLong > all, "%s of the examples are longer than %s: raise it, or choose what becomes of them with excess_length_strategy",
		percent(tooLong, all), r.limits())
	warn(r.Fill() < 0.5, "more than half of what is computed is padding: %s", r.lessPadding())
	return out
}

// extremes returns the smallest and the largest class.
func (r Report) extremes() (few, many LabelCount) {
	if len(r.Labels) == 0 {
		return few, many
	}
	bySize := func(a, b LabelCount) int { return cmp.Compare(a.Train, b.Train) }
	return slices.MinFunc(r.Labels, bySize), slices.MaxFunc(r.Labels, bySize)
}

func (r Report) lessPadding() string {
	switch {
	case r.Train != r.Examples:
		return "sequence_len is longer than the data needs"
	case r.Task == job.CausalLM:
		return "consider sample_packing: true, or length_buckets"
	}
	return "consider length_buckets"
}
