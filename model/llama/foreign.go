package llama

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// foreign are fields that models of other families, and other programs, add to a
// config.json to change what is computed, and the value with which nothing is. All
// are left alone where they are null, false, 0, "" or empty as well.
var foreign = map[string]string{
	"pretraining_tp": "1", "partial_rotary_factor": "1", "logit_scale": "1", "logits_scaling": "1",
	"embedding_multiplier": "1", "residual_multiplier": "1", "attention_multiplier": "", "final_logit_softcapping": "",
	"attn_logit_softcapping": "", "query_pre_attn_scalar": "", "use_qk_norm": "", "qk_layernorm": "", "clip_qkv": "",
	"num_experts": "", "num_local_experts": "", "mlp_only_layers": "", "no_rope_layers": "", "rope_interleaved": "",
	"attention_chunk_size": "", "use_bidirectional_attention": "", "is_causal": "true", "alibi": "",
	"add_cross_attention": "", "is_encoder_decoder": "", "pruned_heads": "", "quantization_config": "", "compression_config": "",
}

// checkForeign refuses fields that would change what is computed.
func checkForeign(data []byte) error {
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(foreign)) {
		text, err := json.Marshal(fields[key])
		if err != nil {
			return err
		}
		if !slices.Contains([]string{"null", "false", "0", `""`, "[]", "{}", foreign[key]}, string(text)) {
			return fmt.Errorf("%s is %s; that is not built", key, text)
		}
	}
	return nil
}
