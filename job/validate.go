package job

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// keyError is what is wrong with the value of one key.
type keyError struct{ key, problem string }

func (e *keyError) Error() string { return e.key + ": " + e.problem }

// Validate returns what is wrong first, with the key, its value and what would
// be right; nil if the job can be tried.
func (s Spec) Validate() error {
	for _, check := range []func(Spec) *keyError{
		Spec.checkData, Spec.checkChoices, Spec.checkMethod, Spec.checkNumbers, Spec.checkTogether, Spec.checkBest, Spec.checkUnbuilt,
	} {
		if err := check(s); err != nil {
			return err
		}
	}
	return nil
}

func (s Spec) checkData() *keyError {
	if s.BaseModel == "" {
		return &keyError{"base_model", "missing; want the directory of a model"}
	}
	if len(s.Datasets) == 0 {
		return &keyError{"datasets", "missing; want a list of data sets, each with a path"}
	}
	if err := checkDatasets("datasets", s.Datasets); err != nil {
		return err
	}
	if err := checkDatasets("test_datasets", s.TestDatasets); err != nil {
		return err
	}
	for i, name := range s.Labels {
		if slices.Contains(s.Labels[:i], name) {
			return &keyError{"labels", fmt.Sprintf("%q stands twice; want each class once", name)}
		}
	}
	if s.OutputDir == "" {
		return &keyError{"output_dir", "empty; want a directory, such as runs/mine"}
	}
	return nil
}

func checkDatasets(key string, list []Dataset) *keyError {
	for i, d := range list {
		if d.Path == "" {
			return &keyError{fmt.Sprintf("%s[%d]", key, i), "path missing; want a file, go:std or go:src"}
		}
		if slices.Contains(d.HeldOut, "") {
			return &keyError{fmt.Sprintf("%s[%d].held_out", key, i), `a name is empty; want packages such as net/http`}
		}
		if d.DsType != "" && !slices.Contains(fileTypes, d.DsType) {
			return &keyError{fmt.Sprintf("%s[%d].ds_type", key, i), fmt.Sprintf("%q is unknown; want %s", d.DsType, words(fileTypes))}
		}
	}
	return nil
}

// fileTypes are the forms of files that ds_type may name.
var fileTypes = []string{"json", "jsonl", "csv", "tsv", "parquet", "text"}

// The tasks that task_type may name.
const (
	CausalLM   = "causal_lm"
	MaskedLM   = "masked_lm"
	SeqCls     = "seq_cls"
	Regression = "regression"
	Seq2SeqLM  = "seq2seq_lm"
)

// choice is a key with a few words as values.
type choice struct {
	key     string
	value   func(Spec) string
	built   []string
	unbuilt []string          // refused by name
	spelled map[string]string // others' words for ours
}

var choices = []choice{
	{"method", func(s Spec) string { return s.Method }, []string{"full", "lora", "adapter", "prompt", "prefix", "ia3", "bitfit", "feature"},
		[]string{"qlora", "p_tuning"}, map[string]string{"LORA": "lora", "IA3": "ia3", "PROMPT_TUNING": "prompt", "PREFIX_TUNING": "prefix",
			"prompt_tuning": "prompt", "prefix_tuning": "prefix", "seq_bn": "adapter", "houlsby": "adapter", "pfeiffer": "adapter", "bias-only": "bitfit"}},
	{"excess_length_strategy", func(s Spec) string { return cmp.Or(s.ExcessLengthStrategy, "drop") }, []string{"drop", "truncate", "error"},
		nil, map[string]string{"raise": "error"}},
	{"on_bad_row", func(s Spec) string { return s.OnBadRow }, []string{"error", "skip"},
		nil, map[string]string{"raise": "error", "drop": "skip"}},
	{"task_type", func(s Spec) string { return cmp.Or(s.TaskType, CausalLM) }, []string{CausalLM, MaskedLM, SeqCls, Regression, Seq2SeqLM},
		[]string{"token_cls", "question_ans", "feature_extraction"},
		map[string]string{"CAUSAL_LM": CausalLM, "SEQ_CLS": SeqCls, "SEQ_2_SEQ_LM": Seq2SeqLM, "classification": SeqCls, "seq_2_seq_lm": Seq2SeqLM, "seq2seq": Seq2SeqLM,
			"TOKEN_CLS": "token_cls", "MASKED_LM": MaskedLM, "mlm": MaskedLM, "fill-mask": MaskedLM, "text-generation": CausalLM, "text-classification": SeqCls}},
	{"balance", func(s Spec) string { return s.Balance }, []string{"none", "weights", "sampling"},
		nil, map[string]string{"auto": "weights", "balanced": "weights", "oversample": "sampling"}},
	{"optimizer", func(s Spec) string { return s.Optimizer }, []string{"adamw"},
		[]string{"adafactor", "lion", "sgd", "adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "muon"},
		map[string]string{"adamw_torch": "adamw", "adamw_torch_fused": "adamw", "adamw_hf": "adamw"}},
	{"lr_scheduler", func(s Spec) string { return s.LRScheduler }, []string{"linear", "cosine", "constant"},
		[]string{"cosine_with_restarts", "cosine_with_min_lr", "polynomial", "inverse_sqrt", "warmup_stable_decay", "one_cycle", "rex"},
		map[string]string{"constant_with_warmup": "constant"}},
	{"compression", func(s Spec) string { return s.Compression }, []string{"q8", "q16", "q32"},
		[]string{"q4", "topk"}, map[string]string{"none": "q32"}},
	{"algorithm", func(s Spec) string { return s.Algorithm }, []string{"auto", "ring", "twoshot", "fanout"},
		nil, map[string]string{"two-shot": "twoshot", "two_shot": "twoshot", "fan-out": "fanout", "fan_out": "fanout"}},
	{"save_dtype", func(s Spec) string { return s.SaveDtype }, []string{"float32", "float16", "bfloat16"},
		nil, map[string]string{"fp32": "float32", "f32": "float32", "fp16": "float16", "f16": "float16", "half": "float16", "bf16": "bfloat16"}},
}

func (s Spec) checkChoices() *keyError {
	for _, c := range choices {
		if problem := c.check(c.value(s)); problem != "" {
			return &keyError{c.key, problem}
		}
	}
	return nil
}

func (c choice) check(value string) string {
	want := "want " + words(c.built)
	switch to, other := c.spelled[value]; {
	case slices.Contains(c.built, value):
		return ""
	case value == "":
		return "missing; " + want
	case slices.Contains(c.unbuilt, value):
		return value + " is not built yet; " + want
	case other && slices.Contains(c.built, to):
		return fmt.Sprintf("%s is spelled %s here", value, to)
	}
	return fmt.Sprintf("%q is unknown; %s", value, want)
}

// words lists words as a sentence does.
func words(w []string) string {
	last := len(w) - 1
	if last < 1 {
		return strings.Join(w, "")
	}
	return strings.Join(w[:last], ", ") + " or " + w[last]
}

// begun are the methods that can go on from what one of their adapters holds.
var begun = []string{"adapter", "ia3", "lora", "prefix", "prompt"}

// isSum says whether text is a SHA-256 as hashes are written here.
func isSum(text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == sha256.Size && text == strings.ToLower(text)
}

func (s Spec) checkMethod() *keyError {
	for _, method := range slices.Sorted(maps.Keys(sectionOf)) {
		name := sectionOf[method]
		if there := !s.sectionField(name).IsNil(); there && method != s.Method {
			return &keyError{name, fmt.Sprintf("configures method %s, but method is %s; leave one of the two out", method, s.Method)}
		} else if !there && method == s.Method && s.InitFrom == "" {
			return &keyError{name, "missing; want the section that configures method " + method}
		}
	}
	switch {
	case s.InitFrom != "" && !slices.Contains(begun, s.Method):
		return &keyError{"init_from", fmt.Sprintf("with method %s; want %s: a model to go on from is a base_model", s.Method, words(begun))}
	case s.InitSHA256 != "" && (s.InitFrom == "" || !isSum(s.InitSHA256)):
		return &keyError{"init_sha256", fmt.Sprintf("%q beside init_from %q; want a SHA-256 in lower-case hex, and the directory of an adapter", s.InitSHA256, s.InitFrom)}
	case s.Method != "full" && s.ReinitWeights:
		return &keyError{"reinit_weights", fmt.Sprintf("random weights stay random with method %s; want method full", s.Method)}
	case s.Method != "full" && s.SaveDtype != "float32":
		return &keyError{"save_dtype", s.SaveDtype + "; adapters are written as float32"}
	case s.Method != "full" && len(s.UnfrozenParameters) > 0:
		return &keyError{"unfrozen_parameters", fmt.Sprintf("with method %s; only method full trains the model's own parameters", s.Method)}
	case s.Method != "full" && s.LayerLRDecay != 1:
		return &keyError{"layer_lr_decay", fmt.Sprintf("%v with method %s; only method full trains the model's own layers", s.LayerLRDecay, s.Method)}
	case s.Method == "feature" && s.TaskType == MaskedLM:
		return &keyError{"method", fmt.Sprintf("feature with task_type %s; want task_type %s, %s, %s or %s, or method lora or prefix", s.TaskType, SeqCls, Regression, CausalLM, Seq2SeqLM)}
	case s.Method == "feature" && s.TaskType != "" && s.TaskType != SeqCls && s.Feature.Classifier == "mlp":
		return &keyError{"feature.classifier", fmt.Sprintf("mlp with task_type %s; an mlp tells classes apart: want logistic", s.TaskType)}
	}
	for _, check := range []func() *keyError{s.LoRA.check, s.Bottleneck.check, s.Prompt.check, s.Prefix.check, s.Feature.check} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkTogether holds keys against each other.
func (s Spec) checkTogether() *keyError {
	switch {
	case s.MaxSteps > 0 && s.NumEpochs > 0:
		return &keyError{"num_epochs", fmt.Sprintf("%v beside max_steps %d; want one of the two", s.NumEpochs, s.MaxSteps)}
	case s.MaxSteps == 0 && s.NumEpochs == 0:
		return &keyError{"max_steps", "0, and num_epochs too; want one of the two above 0"}
	case s.WarmupSteps > 0 && s.WarmupRatio > 0:
		return &keyError{"warmup_ratio", fmt.Sprintf("%v beside warmup_steps %d; want one of the two", s.WarmupRatio, s.WarmupSteps)}
	case s.MaxSteps > 0 && s.WarmupSteps >= s.MaxSteps:
		return &keyError{"warmup_steps", fmt.Sprintf("%d of %d max_steps; the learning rate would never arrive", s.WarmupSteps, s.MaxSteps)}
	case s.ValSetSize >= 1 && s.ValSetSize != math.Trunc(s.ValSetSize):
		return &keyError{"val_set_size", fmt.Sprintf("%v; want a share below 1 or a whole number of examples", s.ValSetSize)}
	case s.MaxTargetLength > 0 && s.TaskType != "" && s.TaskType != Seq2SeqLM:
		return &keyError{"max_target_length", fmt.Sprintf("%d with task_type %s; only %s has targets of their own length", s.MaxTargetLength, s.TaskType, Seq2SeqLM)}
	case s.SamplePacking && s.TaskType != "" && s.TaskType != CausalLM:
		return &keyError{"sample_packing", fmt.Sprintf("true with task_type %s; only %s examples are packed", s.TaskType, CausalLM)}
	case s.MLMProbability > 0 && s.TaskType != "" && s.TaskType != MaskedLM:
		return &keyError{"mlm_probability", fmt.Sprintf("%v with task_type %s; only %s hides tokens to ask for them", s.MLMProbability, s.TaskType, MaskedLM)}
	case s.TokenDropout > 0 && s.TaskType == MaskedLM:
		return &keyError{"token_dropout", fmt.Sprintf("%v with task_type %s, which hides tokens itself; want mlm_probability alone", s.TokenDropout, MaskedLM)}
	case s.Balance != "none" && s.TaskType != "" && s.TaskType != SeqCls:
		return &keyError{"balance", fmt.Sprintf("%s with task_type %s; only %s has classes", s.Balance, s.TaskType, SeqCls)}
	case len(s.ClassWeights) > 0 && len(s.Labels) > 0 && len(s.ClassWeights) != len(s.Labels):
		return &keyError{"class_weights", fmt.Sprintf("%d weights for %d labels; want one for each", len(s.ClassWeights), len(s.Labels))}
	case len(s.ClassWeights) > 0 && s.Balance == "sampling":
		return &keyError{"class_weights", "beside balance: sampling; want one of the two"}
	case s.MinNodes > s.Nodes:
		return &keyError{"min_nodes", fmt.Sprintf("%d is above nodes %d", s.MinNodes, s.Nodes)}
	case s.MaxNodes > 0 && s.MaxNodes < s.Nodes:
		return &keyError{"max_nodes", fmt.Sprintf("%d is below nodes %d; want at least as many, or 0 for no bound", s.MaxNodes, s.Nodes)}
	}
	return s.checkBuckets()
}

func (s Spec) checkBuckets() *keyError {
	n := len(s.Buckets)
	rising := slices.IsSorted(s.Buckets) && len(slices.Compact(slices.Clone(s.Buckets))) == n
	if n < 1 || n > maxBuckets || !rising || s.Buckets[0] < 2 || s.Buckets[n-1] != s.SequenceLen {
		return &keyError{"length_buckets", fmt.Sprintf("%v; want one to %d lengths from 2, ascending, the last one sequence_len (%d)", s.Buckets, maxBuckets, s.SequenceLen)}
	}
	return nil
}

// maxBuckets bounds the compilations that a job needs.
const maxBuckets = 4

// checkUnbuilt refuses what the spec has a place for and nobody carries out yet.
func (s Spec) checkUnbuilt() *keyError {
	if s.ResumeFromCheckpoint != "" {
		return &keyError{"resume_from_checkpoint", "not built yet; start train with --resume to go on with the job in output_dir"}
	}
	return nil
}

// checkBest says what stands in the way of finding the best state.
func (s Spec) checkBest() *keyError {
	switch {
	case s.EarlyStoppingPatience > 0 && !s.LoadBestModelAtEnd:
		return &keyError{"early_stopping_patience", "without load_best_model_at_end the last state would be exported, which is not the best; set that to true as well"}
	case s.LoadBestModelAtEnd && s.EvalSteps == 0:
		return &keyError{"load_best_model_at_end", "without eval_steps there is one evaluation only; say every how many steps to evaluate"}
	case s.LoadBestModelAtEnd && !s.holdsOut():
		return &keyError{"load_best_model_at_end", "nothing is held out to tell the best by; set val_set_size or test_datasets"}
	}
	return nil
}

// holdsOut says whether anything can be held out.
func (s Spec) holdsOut() bool {
	return s.ValSetSize > 0 || len(s.TestDatasets) > 0 || slices.ContainsFunc(s.Datasets, func(d Dataset) bool { return len(d.HeldOut) > 0 })
}

// Exhausted says whether so many evaluations without a better one end the job.
func (s Spec) Exhausted(since int) bool {
	return s.EarlyStoppingPatience > 0 && since >= s.EarlyStoppingPatience
}

// Judges says whether the evaluation after a step has a part in the choice of the
// best state: the regular ones and that after the last of steps do.
func (s Spec) Judges(step, steps uint64) bool {
	return s.LoadBestModelAtEnd && (step%uint64(s.EvalSteps) == 0 || step == steps)
}
