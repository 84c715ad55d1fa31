package corpus

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"carillon/job"
)

// tasksOf are the tasks that examples of a type are for.
var tasksOf = map[string]string{
	TypeText: job.CausalLM, TypePairs: job.CausalLM, TypeAlpaca: job.CausalLM, TypeShareGPT: job.CausalLM, TypeMessages: job.CausalLM,
	TypeClassification: job.SeqCls, TypeRegression: job.Regression, TypeSeq2Seq: job.Seq2SeqLM,
}

// Resolve fills in the spec's task_type, labels, class_weights and
// excess_length_strategy where it leaves them open, and makes sure that the data
// fits what it says. What it returns comes out as it is when it is resolved
// again.
func (r *Reading) Resolve(spec job.Spec, encoderDecoder bool) (job.Spec, error) {
	spec, err := r.resolveTask(spec, encoderDecoder)
	switch {
	case err != nil:
		return spec, err
	case spec.TaskType == job.SeqCls:
		return r.classes(spec)
	case spec.Balance != "" && spec.Balance != "none":
		return spec, fmt.Errorf("balance: %s; the data is for %s, which has no classes", spec.Balance, spec.TaskType)
	case len(spec.Labels) > 0 || len(spec.ClassWeights) > 0:
		return spec, fmt.Errorf("labels and class_weights are for classification; the data is for %s", spec.TaskType)
	}
	return spec, nil
}

// resolveTask fills in what follows from the task alone.
func (r *Reading) resolveTask(spec job.Spec, encoderDecoder bool) (job.Spec, error) {
	task, err := r.task(encoderDecoder)
	if err == nil && spec.TaskType == job.MaskedLM {
		task, err = r.masked()
	}
	switch {
	case err != nil:
		return spec, err
	case spec.TaskType != "" && spec.TaskType != task:
		return spec, fmt.Errorf("task_type: %s; the data is for %s: change one of the two, or the type of the data set", spec.TaskType, task)
	case spec.SamplePacking && task != job.CausalLM:
		return spec, fmt.Errorf("sample_packing: true; only examples of task_type %s are packed, and the data is for %s", job.CausalLM, task)
	case spec.MaxTargetLength > 0 && task != job.Seq2SeqLM:
		return spec, fmt.Errorf("max_target_length: %d; only %s has targets of their own length, and the data is for %s", spec.MaxTargetLength, job.Seq2SeqLM, task)
	}
	if err := r.idle(spec, task); err != nil {
		return spec, err
	}
	spec.SetTask(task)
	return spec, nil
}

// idle returns an error for a key that would change nothing, whatever its user
// expects of it.
func (r *Reading) idle(spec job.Spec, task string) error {
	has := func(kinds ...string) bool {
		return slices.ContainsFunc(r.examples, func(x Example) bool { return slices.Contains(kinds, x.Kind) })
	}
	talks, sources := has(TypeMessages, TypeShareGPT), task == job.Seq2SeqLM || has(TypeSeq2Seq)
	switch {
	case spec.ChatTemplate != "" && !talks:
		return fmt.Errorf("chat_template: %s; only conversations (type messages or sharegpt) are written by one, and the data has none", spec.ChatTemplate)
	case spec.MaskHistory && !talks:
		return errors.New("mask_history: true; only conversations (type messages or sharegpt) have a history, and the data has none")
	case spec.SourcePrefix != "" && !sources:
		return fmt.Errorf("source_prefix: %q; only sources (type seq2seq) have one before them, and the data has none", spec.SourcePrefix)
	case spec.MLMProbability > 0 && task != job.MaskedLM:
		return fmt.Errorf("mlm_probability: %v; only task_type %s hides tokens, and the data is for %s", spec.MLMProbability, job.MaskedLM, task)
	case spec.TrainOnInputs && task != job.CausalLM:
		return fmt.Errorf("train_on_inputs: true; the data is for %s, in which inputs are not learnt", task)
	}
	return idleApart(spec)
}

// idleApart is idle for keys about what is held out.
func idleApart(spec job.Spec) error {
	listed := slices.ContainsFunc(spec.Datasets, func(d job.Dataset) bool { return len(d.HeldOut) > 0 })
	switch {
	case spec.ValSetSize > 0:
		return nil
	case spec.GroupBy != "":
		return fmt.Errorf("group_by: %s; it says which records val_set_size holds out together, and val_set_size is 0: set it, or leave group_by out", spec.GroupBy)
	case spec.RemoveOverlap && len(spec.TestDatasets) == 0 && !listed:
		return errors.New("remove_overlap: true; nothing is held out that training examples could repeat: set val_set_size or test_datasets, or leave it out")
	}
	return nil
}

// taskOf is what examples of a type are for. A model without an encoder learns to
// go on after a source with the target; one with an encoder takes a prompt for a
// source.
func taskOf(kind string, encoderDecoder bool) string {
	switch {
	case kind == TypeSeq2Seq && !encoderDecoder:
		return job.CausalLM
	case (kind == TypePairs || kind == TypeAlpaca) && encoderDecoder:
		return job.Seq2SeqLM
	}
	return tasksOf[kind]
}

// task returns the one task that all examples are for.
func (r *Reading) task(encoderDecoder bool) (string, error) {
	task, first := "", Example{}
	for _, x := range r.examples {
		t := taskOf(x.Kind, encoderDecoder)
		if task == "" {
			task, first = t, x
		}
		if t != task {
			return "", fmt.Errorf("the data is for two tasks: %s at %s, %s at %s; a job has one", task, first.From, t, x.From)
		}
	}
	if encoderDecoder && task != job.Seq2SeqLM {
		return "", fmt.Errorf("the base model has an encoder and a decoder, and learns from records with a source and a target, or a prompt and a completion; %s is of type %s", first.From, first.Kind)
	}
	return task, nil
}

// masked returns masked_lm, which a recipe has to ask for: what texts are for of
// themselves is to go on with them.
func (r *Reading) masked() (string, error) {
	for _, x := range r.examples {
		if x.Kind != TypeText {
			return "", fmt.Errorf("task_type: %s; it learns from texts (type completion), and %s is of type %s", job.MaskedLM, x.From, x.Kind)
		}
	}
	return job.MaskedLM, nil
}

// classes resolves what classification needs.
func (r *Reading) classes(spec job.Spec) (job.Spec, error) {
	counts, heldOut := map[string]int{}, map[string]string{}
	for _, x := range r.examples {
		if !x.HeldOut {
			counts[x.Label]++
		} else if heldOut[x.Label] == "" {
			heldOut[x.Label] = x.From
		}
	}
	for _, label := range sorted(heldOut) {
		if counts[label] == 0 {
			return spec, fmt.Errorf("%s: label %q is held out, and no training example has it; these have %s", heldOut[label], label, quoted(sorted(counts)))
		}
	}
	if len(spec.Labels) == 0 {
		spec.Labels = sorted(counts)
	}
	for _, label := range sorted(counts) {
		if !slices.Contains(spec.Labels, label) {
			return spec, fmt.Errorf("labels: %s lack %q, which %s have", quoted(spec.Labels), label, counted(counts[label], "training example"))
		}
	}
	if len(counts) < 2 {
		return spec, fmt.Errorf("every training example has the label %s: want two classes or more", quoted(sorted(counts)))
	}
	return weighted(spec, counts)
}

// weighted fills in the weights n / (K·n_c) of balance: weights, for n examples
// of K classes, n_c of them of the class: together they weigh n.
func weighted(spec job.Spec, counts map[string]int) (job.Spec, error) {
	if n := len(spec.ClassWeights); n > 0 {
		if n != len(spec.Labels) {
			return spec, fmt.Errorf("class_weights: %d weights for the %d labels %s; want one for each", n, len(spec.Labels), quoted(spec.Labels))
		}
		return spec, nil
	}
	if spec.Balance != "weights" {
		return spec, nil
	}
	n := 0
	for _, c := range counts {
		n += c
	}
	for _, label := range spec.Labels {
		if counts[label] == 0 {
			return spec, fmt.Errorf("balance: weights; no training example has the label %q of labels", label)
		}
		spec.ClassWeights = append(spec.ClassWeights, float64(n)/float64(len(spec.Labels)*counts[label]))
	}
	return spec, nil
}

// sorted returns the labels in the order of their numbers: by value if all are
// numbers, else as strings.
func sorted[V any](labels map[string]V) []string {
	names := make([]string, 0, len(labels))
	numbers := true
	for name := range labels {
		names = append(names, name)
		numbers = numbers && isNumber(name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if !numbers {
			return strings.Compare(a, b)
		}
		return cmp.Or(cmp.Compare(number(a), number(b)), strings.Compare(a, b))
	})
	return names
}

func isNumber(s string) bool {
	f, err := strconv.ParseFloat(s, 64)
	return err == nil && !math.IsNaN(f)
}

func number(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64) // isNumber has seen it
	return f
}

// quoted lists names for an error, the first few of many.
func quoted(names []string) string {
	const most = 12
	if n := len(names); n > most {
		return fmt.Sprintf("%q and %d more", names[:most], n-most)
	}
	return fmt.Sprintf("%q", names)
}
