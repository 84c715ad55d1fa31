package job

import (
	"cmp"
	"fmt"
	"slices"
)

// oneOf says that a key of a section must be one of a few words.
func oneOf(key, value string, words ...string) *keyError {
	if problem := (choice{built: words}).check(value); problem != "" {
		return &keyError{key, problem}
	}
	return nil
}

// check returns what is wrong with the section; nothing if it is not there.
func (l *LoRA) check() *keyError {
	switch {
	case l == nil:
		return nil
	case len(l.TargetModules) == 0 || slices.Contains(l.TargetModules, ""):
		return &keyError{"lora.target_modules", "a name is missing; want names of modules such as c_attn, or all-linear"}
	case len(l.TargetModules) > 1 && slices.Contains(l.TargetModules, "all-linear"):
		return &keyError{"lora.target_modules", "all-linear beside others; want it alone, or only names of modules"}
	}
	for name, r := range l.RankPattern {
		if r < 1 {
			return &keyError{"lora.rank_pattern", fmt.Sprintf("%s: %d; want a rank of at least 1", name, r)}
		}
	}
	return cmp.Or(oneOf("lora.bias", l.Bias, "none", "all", "lora_only"),
		oneOf("lora.init_lora_weights", cmp.Or(l.InitLoraWeights, "default"), "default", "gaussian"))
}

func (b *Bottleneck) check() *keyError {
	switch {
	case b == nil:
		return nil
	case b.BottleneckSize > 0 && b.ReductionFactor > 0:
		return &keyError{"bottleneck.bottleneck_size", fmt.Sprintf("%d beside reduction_factor %v; want one of the two", b.BottleneckSize, b.ReductionFactor)}
	case b.LearnScaling != "" && b.Scaling > 0:
		return &keyError{"bottleneck.scaling", fmt.Sprintf("%v beside learn_scaling: %s; want one of the two", b.Scaling, b.LearnScaling)}
	case b.OriginalLNAfter != nil && !*b.OriginalLNAfter:
		return &keyError{"bottleneck.original_ln_after", "false; only true is built: the model's norm stays where it is"}
	}
	return cmp.Or(oneOf("bottleneck.architecture", b.Architecture, "seq_bn", "double_seq_bn", "par_bn"),
		oneOf("bottleneck.non_linearity", cmp.Or(b.NonLinearity, "relu"), "relu", "swish", "gelu", "tanh"),
		oneOf("bottleneck.learn_scaling", cmp.Or(b.LearnScaling, "learned"), "learned", "channel"),
		oneOf("bottleneck.init_weights", cmp.Or(b.InitWeights, "bert"), "bert", "houlsby", "mam_adapter"))
}

func (p *Prompt) check() *keyError {
	switch {
	case p == nil:
		return nil
	case p.PromptTuningInit == "text" && p.PromptTuningInitText == "":
		return &keyError{"prompt.prompt_tuning_init_text", "missing; want the text that the prompt begins as"}
	case p.PromptTuningInit != "text" && p.PromptTuningInitText != "":
		return &keyError{"prompt.prompt_tuning_init_text", fmt.Sprintf("beside prompt_tuning_init: %s; want prompt_tuning_init: text", p.PromptTuningInit)}
	}
	return oneOf("prompt.prompt_tuning_init", p.PromptTuningInit, "sample_vocab", "random", "text", "class_labels")
}

func (p *Prefix) check() *keyError {
	switch {
	case p == nil:
		return nil
	case p.PrefixProjection && (p.PrefixInit != "" || p.PrefixInitText != ""):
		return &keyError{"prefix.prefix_init", "with prefix_projection; the network begins as PEFT's does"}
	case p.PrefixInit == "text" && p.PrefixInitText == "":
		return &keyError{"prefix.prefix_init_text", "missing; want the text that the prefix begins as"}
	case p.PrefixInit != "" && p.PrefixInit != "text" && p.PrefixInitText != "":
		return &keyError{"prefix.prefix_init_text", fmt.Sprintf("beside prefix_init: %s; want prefix_init: text", p.PrefixInit)}
	case !p.PrefixProjection && p.EncoderHiddenSize > 0:
		return &keyError{"prefix.encoder_hidden_size", "without prefix_projection; there is no network"}
	}
	return oneOf("prefix.prefix_init", cmp.Or(p.PrefixInit, "zero"), "text", "sample_vocab", "zero", "random")
}

func (f *Feature) check() *keyError {
	if f == nil {
		return nil
	}
	if f.Classifier == "logistic" && f.HiddenSize > 0 {
		return &keyError{"feature.hidden_size", fmt.Sprintf("%d with classifier: logistic, which has no hidden layer; want classifier: mlp", f.HiddenSize)}
	}
	return cmp.Or(oneOf("feature.pooling", f.Pooling, "mean", "cls", "last"), oneOf("feature.classifier", f.Classifier, "logistic", "mlp"))
}
