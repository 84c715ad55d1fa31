package ask_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"carillon/ask"
	"carillon/ask/asktest"
	"carillon/job"
	"carillon/shard"
)

// textRecipe is a job on texts with a value each: a class's name or a number.
func textRecipe(t *testing.T, base string, value func(i int) string) job.Spec {
	t.Helper()
	var lines strings.Builder
	for i := range 12 {
		fmt.Fprintf(&lines, `{"text": "the bell %d rings", "label": %s}`+"\n", i, value(i))
	}
	return recipeOf(t, base, lines.String())
}

// wrong is what a model that takes every text for 0 is wrong by in a set's
// held-out part: the right answers, and the mean of squares.
func wrong(set *shard.Set) (right int64, squares float64) {
	for i := range set.HeldOutLen() {
		label := set.HeldOut(i).Labels[0]
		if label == 0 {
			right++
		}
		value := float64(math.Float32frombits(uint32(label)))
		squares += value * value / float64(set.HeldOutLen())
	}
	return right, squares
}

// A model that takes every text for 0 is right and wrong as the data says, as an
// adapter and as a model of its own.
func TestWhatIsRightIsCounted(t *testing.T) {
	be, base, _ := tiny(t)
	for task, value := range map[string]func(i int) string{
		job.SeqCls:     func(i int) string { return []string{`"dull"`, `"clear"`}[i%2] },
		job.Regression: func(i int) string { return fmt.Sprint(0.5 * float64(i)) },
	} {
		for _, method := range []string{"lora", "full"} {
			t.Run(task+" "+method, func(t *testing.T) {
				spec := textRecipe(t, base, value)
				dir := filepath.Join(t.TempDir(), "tuned")
				spec.Method = method
				if err := asktest.Classifier(be, base, dir, spec); err != nil {
					t.Fatal(err)
				}
				var a *ask.Asker
				if method == "full" {
					a = open(t, be, dir, "", spec)
				} else {
					a = open(t, be, "", dir, spec)
				}
				got, set := heldOut(t, a, spec), data(t, a, spec)
				right, squares := wrong(set)
				want := ask.Loss{Task: task, Sum: 3 * math.Ln2, Tokens: 3, Examples: 3, Right: right}
				if task == job.Regression {
					want.Sum, want.Right = 3*squares, 0
				}
				if math.Abs(got.Sum-want.Sum) > 1e-5 {
					t.Errorf("the loss is %v, want %v", got.Sum, want.Sum)
				}
				if got.Sum = want.Sum; got != want {
					t.Errorf("%+v, want %+v", got, want)
				}
			})
		}
	}
}

// What tells classes apart is not asked to go on with a text, whether an adapter
// or a directory says so.
func TestAClassifierCompletesNothing(t *testing.T) {
	be, base, _ := tiny(t)
	spec := textRecipe(t, base, func(i int) string { return fmt.Sprint(i % 3) })
	for _, method := range []string{"lora", "full"} {
		dir := filepath.Join(t.TempDir(), method)
		spec.Method = method
		if err := asktest.Classifier(be, base, dir, spec); err != nil {
			t.Fatal(err)
		}
		var a *ask.Asker
		if method == "full" {
			a = open(t, be, dir, "", job.Spec{})
		} else {
			a = open(t, be, "", dir, job.Spec{})
		}
		if _, err := a.Complete(t.Context(), []string{"the"}, 2); err == nil || !strings.Contains(err.Error(), "task_type seq_cls") {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func TestASetForAnotherTaskIsRefused(t *testing.T) {
	be, base, _ := tiny(t)
	texts := recipe(t, base)
	classes := textRecipe(t, base, func(i int) string { return []string{`"dull"`, `"clear"`}[i%2] })
	a := open(t, be, "", "", texts)
	_, err := a.HeldOut(t.Context(), data(t, a, classes), shard.PlanOf(classes), nil)
	if err == nil || !strings.Contains(err.Error(), "seq_cls") || !strings.Contains(err.Error(), "causal_lm") {
		t.Errorf("a set of classes for a model that goes on with texts: %v", err)
	}
}
