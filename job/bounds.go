package job

import (
	"fmt"
	"math"
)

// bound is the range of a number: [min, max], or (min, max) where open.
type bound struct {
	key      string
	value    float64
	min, max float64
	open     bool // min is not allowed itself
	below    bool // max is not allowed itself
}

const (
	maxLanes  = 4096 // a sum of 2^12 lanes of q16 fits an int32
	maxTokens = 1 << 20
	many      = math.MaxInt32
)

// bounds are the ranges of all numbers, in the order of the Spec.
func (s Spec) bounds() []bound {
	b := []bound{
		{"val_set_size", s.ValSetSize, 0, many, false, false},
		{"sequence_len", float64(s.SequenceLen), 2, maxTokens, false, false},
		{"max_target_length", float64(s.MaxTargetLength), 0, maxTokens, false, false},
		{"token_dropout", s.TokenDropout, 0, 1, false, true},
		{"mlm_probability", s.MLMProbability, 0, 1, false, false},
		{"layer_lr_decay", s.LayerLRDecay, 0, 1, true, false},
		{"neftune_noise_alpha", s.NeftuneNoiseAlpha, 0, 1e6, false, false},
		{"lanes", float64(s.Lanes), 1, maxLanes, false, false},
		{"micro_batch_size", float64(s.MicroBatchSize), 1, 1 << 16, false, false},
		{"max_steps", float64(s.MaxSteps), 0, many, false, false},
		{"num_epochs", s.NumEpochs, 0, 1 << 20, false, false},
		{"learning_rate", s.LearningRate, 0, 1e6, true, false},
		{"warmup_ratio", s.WarmupRatio, 0, 1, false, true},
		{"warmup_steps", float64(s.WarmupSteps), 0, many, false, false},
		{"weight_decay", s.WeightDecay, 0, 1e6, false, false},
		{"adam_beta1", s.AdamBeta1, 0, 1, false, true},
		{"adam_beta2", s.AdamBeta2, 0, 1, false, true},
		{"adam_epsilon", s.AdamEpsilon, 0, 1, true, false},
		{"max_grad_norm", s.MaxGradNorm, 0, 1e30, false, false},
		{"eval_steps", float64(s.EvalSteps), 0, many, false, false},
		{"eval_examples", float64(s.EvalExamples), 0, many, false, false},
		{"early_stopping_patience", float64(s.EarlyStoppingPatience), 0, many, false, false},
		{"save_steps", float64(s.SaveSteps), 0, many, false, false},
		{"save_minutes", s.SaveMinutes, 0, 1e6, false, false},
		{"save_total_limit", float64(s.SaveTotalLimit), 0, many, false, false},
		{"logging_steps", float64(s.LoggingSteps), 1, many, false, false},
		{"nodes", float64(s.Nodes), 1, 1 << 12, false, false},
		{"min_nodes", float64(s.MinNodes), 1, 1 << 12, false, false},
		{"max_nodes", float64(s.MaxNodes), 0, 1 << 12, false, false},
		{"cpu_threads", float64(s.CPUThreads), 1, 256, false, false},
	}
	for i, w := range s.ClassWeights {
		b = append(b, bound{fmt.Sprintf("class_weights[%d]", i), w, 0, 1e6, true, false})
	}
	if l := s.LoRA; l != nil {
		b = append(b, bound{"lora.r", float64(l.R), 1, 1 << 16, false, false},
			bound{"lora.lora_alpha", l.LoraAlpha, 0, 1e6, true, false},
			bound{"lora.lora_dropout", l.LoraDropout, 0, 1, false, true},
			bound{"lora.loraplus_lr_ratio", l.LoraplusLRRatio, 0, 1e6, false, false})
	}
	if n := s.Bottleneck; n != nil {
		b = append(b, bound{"bottleneck.reduction_factor", n.ReductionFactor, 0, 1 << 16, false, false},
			bound{"bottleneck.bottleneck_size", float64(n.BottleneckSize), 0, 1 << 16, false, false},
			bound{"bottleneck.scaling", n.Scaling, 0, 1e6, false, false})
	}
	if n := s.Prompt; n != nil {
		b = append(b, bound{"prompt.num_virtual_tokens", float64(n.NumVirtualTokens), 1, 1 << 16, false, false})
	}
	if n := s.Feature; n != nil {
		b = append(b, bound{"feature.hidden_size", float64(n.HiddenSize), 0, 1 << 16, false, false})
	}
	if n := s.Prefix; n != nil {
		b = append(b, bound{"prefix.num_virtual_tokens", float64(n.NumVirtualTokens), 1, 1 << 16, false, false},
			bound{"prefix.encoder_hidden_size", float64(n.EncoderHiddenSize), 0, 1 << 16, false, false})
	}
	return b
}

func (s Spec) checkNumbers() *keyError {
	for _, b := range s.bounds() {
		if !b.holds() {
			return &keyError{b.key, fmt.Sprintf("%v; want %s", b.value, b)}
		}
	}
	return nil
}

// holds is false for NaN.
func (b bound) holds() bool {
	return b.value >= b.min && b.value <= b.max && !(b.open && b.value == b.min) && !(b.below && b.value == b.max)
}

func (b bound) String() string {
	from, to := "from", "to"
	if b.open {
		from = "above"
	}
	if b.below {
		to = "and below"
	}
	if b.max == many {
		return fmt.Sprintf("a number %s %v", from, b.min)
	}
	return fmt.Sprintf("a number %s %v %s %.10g", from, b.min, to, b.max)
}
