package job

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// sections are the groups of keys in a recipe, by the name that leads to them.
var sections = map[string]map[string]int{
	"":           fieldsOf(reflect.TypeFor[Spec]()),
	"datasets":   fieldsOf(reflect.TypeFor[Dataset]()),
	"lora":       fieldsOf(reflect.TypeFor[LoRA]()),
	"bottleneck": fieldsOf(reflect.TypeFor[Bottleneck]()),
	"prompt":     fieldsOf(reflect.TypeFor[Prompt]()),
	"prefix":     fieldsOf(reflect.TypeFor[Prefix]()),
	"ia3":        fieldsOf(reflect.TypeFor[IA3]()),
	"feature":    fieldsOf(reflect.TypeFor[Feature]()),
}

// fieldsOf maps a struct's keys to its fields.
func fieldsOf(t reflect.Type) map[string]int {
	fields := map[string]int{}
	for i := range t.NumField() {
		fields[t.Field(i).Tag.Get("yaml")] = i
	}
	return fields
}

// aliases are Axolotl's flat spellings, each with the key that it stands for.
var aliases = map[string]string{
	"adapter":             "method",
	"lora_r":              "lora.r",
	"lora_alpha":          "lora.lora_alpha",
	"lora_dropout":        "lora.lora_dropout",
	"lora_target_modules": "lora.target_modules",
	"lora_model_dir":      "init_from",

	"lora_modules_to_save": "lora.modules_to_save",
	"peft_use_dora":        "lora.use_dora",
	"peft_use_rslora":      "lora.use_rslora",
	"loraplus_lr_ratio":    "lora.loraplus_lr_ratio",
}

// spelled gives our key for one that others use for the same thing.
var spelled = map[string]map[string]string{
	"": {
		"batch_size":                  "micro_batch_size",
		"per_gpu_train_batch_size":    "micro_batch_size",
		"per_device_train_batch_size": "micro_batch_size",
		"train_batch_size":            "micro_batch_size",
		"num_train_epochs":            "num_epochs",
		"epochs":                      "num_epochs",
		"iters":                       "max_steps",
		"num_steps":                   "max_steps",
		"max_seq_length":              "sequence_len",
		"max_seq_len":                 "sequence_len",
		"max_sequence_length":         "sequence_len",
		"sequence_length":             "sequence_len",
		"seq_len":                     "sequence_len",
		"seq_length":                  "sequence_len",
		"block_size":                  "sequence_len",
		"max_length":                  "sequence_len",
		"cutoff_len":                  "sequence_len",
		"model_max_length":            "sequence_len",
		"lr":                          "learning_rate",
		"learning_rate_scheduler":     "lr_scheduler",
		"lr_scheduler_type":           "lr_scheduler",
		"scheduler":                   "lr_scheduler",
		"warmup":                      "warmup_steps",
		"num_warmup_steps":            "warmup_steps",
		"optim":                       "optimizer",
		"adam_eps":                    "adam_epsilon",
		"max_norm":                    "max_grad_norm",
		"gradient_clipping":           "max_grad_norm",
		"model_name_or_path":          "base_model",
		"base_model_name_or_path":     "base_model",
		"model":                       "base_model",
		"dataset":                     "datasets",
		"val_size":                    "val_set_size",
		"train_on_prompt":             "train_on_inputs",
		"packing":                     "sample_packing",
		"neat_packing":                "sample_packing",
		"template":                    "chat_template",
		"task":                        "task_type",
		"label_names":                 "labels",
		"val_dataset":                 "test_datasets",
		"eval_dataset":                "test_datasets",
		"neftune_alpha":               "neftune_noise_alpha",
		"masked_lm_prob":              "mlm_probability",
		"max_source_length":           "sequence_len",
		"finetuning_type":             "method",
		"peft_type":                   "method",
		"lora_rank":                   "lora.r",
		"lora_target":                 "lora.target_modules",
		"data_seed":                   "seed",
		"num_nodes":                   "nodes",
		"nnodes":                      "nodes",
	},
	"lora": {
		"rank": "r", "lora_r": "r", "alpha": "lora_alpha", "dropout": "lora_dropout",
		"lora_target_modules": "target_modules", "lora_target": "target_modules",
	},
	"datasets": {"file": "path", "dataset": "path", "format": "type", "formatting": "type", "field_role": "message_field_role",
		"field_content": "message_field_content", "text_column": "field_text", "target_column": "field_label"},
}

// differs says what to do instead of a key that has no single counterpart here.
// %s is the value that was given.
var differs = map[string]string{
	"gradient_accumulation_steps":   "a step sums lanes x micro_batch_size examples on any number of nodes; write lanes: %s times the number of devices that you had",
	"per_device_eval_batch_size":    "evaluation takes micro_batch_size examples at a time; leave it out",
	"lora_target_linear":            "write lora_target_modules: all-linear",
	"evals_per_epoch":               "write eval_steps, a number of steps",
	"saves_per_epoch":               "write save_steps, a number of steps",
	"eval_strategy":                 "write eval_steps, a number of steps (0 for none)",
	"evaluation_strategy":           "write eval_steps, a number of steps (0 for none)",
	"save_strategy":                 "write save_steps, a number of steps (0 for the last only)",
	"auto_resume_from_checkpoints":  "start train with --resume",
	"eval_sample_packing":           "held-out examples are packed as training examples are; leave it out",
	"chat_template_jinja":           "write the template to a file whose name ends in .jinja, and chat_template: its path",
	"roles_to_train":                "answers are learnt, all of them or with mask_history: true the last; leave it out",
	"train_on_eos":                  "the end of an answer is learnt with it; leave it out",
	"pad_to_sequence_len":           "write length_buckets, the lengths that batches are padded to",
	"group_by_length":               "write length_buckets, the lengths that batches are padded to",
	"full_determinism":              "every job is deterministic; leave it out",
	"average_tokens_across_devices": "losses and gradients always are over all tokens of a step; leave it out",
	"dataset_prepared_path":         "prepared data is kept in the store; leave it out",
	"dataloader_num_workers":        "batches are read without workers; leave it out",
	"overwrite_output_dir":          "write another output_dir, or start train with --resume",
	"auto_find_batch_size":          "micro_batch_size is part of the result; write it",
	"global_batch_size":             "the global batch is lanes x micro_batch_size; write lanes: %s and micro_batch_size: 1",
	"effective_batch_size":          "the global batch is lanes x micro_batch_size; write lanes: %s and micro_batch_size: 1",
	"num_processes":                 "write nodes: %s",
	"torch_dtype":                   "numbers are float32 while training; write save_dtype, the type of the weights that method full exports",
	"mlm":                           "write task_type: masked_lm",
	"line_by_line":                  "with task_type: masked_lm each text is an example of its own; leave it out",
	"dataloader_drop_last":          "steps go across epochs, so nothing is left over; leave it out",
	"ignore_data_skip":              "a resumed job goes on at its place in the data without reading what lies before; leave it out",
}

// unbuilt are keys of others whose feature is not built. Their switched-off
// values (false, null, 0, none, empty) say nothing and are accepted.
var unbuilt = map[string][]string{
	"": {
		"fp16", "tf32",
		"load_in_8bit", "load_in_4bit", "deepspeed", "fsdp", "fsdp_config", "hub", "hub_model_id", "hub_strategy", "push_to_hub",

		"lora_fan_in_fan_out", "delayed_scaling", "topk", "error_feedback", "local_steps", "diloco", "dct",
		"label_smoothing", "label_smoothing_factor", "cosine_min_lr_ratio", "lr_groups",
		"whole_word_mask",
		"special_tokens", "tokens", "tokenizer_type", "model_type",
		"trust_remote_code", "report_to", "wandb_project", "early_stopping_min_delta", "metric_for_best_model",
		"loss_watchdog_threshold", "adapters", "groups", "seeds",
		"priority", "priority_class", "preemption", "preemptible",
	},
	"lora": {
		"lora_bias", "layers_pattern", "layer_replication", "target_parameters", "trainable_token_indices",
	},
	"datasets": {"split", "name", "data_files", "revision", "weight", "template", "message_property_mappings"},
}

// find returns the full key that name, in a section, stands for. skip: it is of
// a feature that is not built, and switched off. value is what was given, for
// the error.
func find(section, name, value string) (key string, skip bool, err error) {
	if _, ok := sections[section][name]; ok {
		return join(section, name), false, nil
	}
	if to, ok := aliases[name]; ok && section == "" {
		return to, false, nil
	}
	if to, ok := spelled[section][name]; ok {
		return "", false, fmt.Errorf("%s is spelled %s here: write %[2]s: %[3]s", join(section, name), join(section, to), value)
	}
	if hint, ok := differs[name]; ok && section == "" {
		return "", false, fmt.Errorf("%s is not a key here: %s", name, strings.ReplaceAll(hint, "%s", value))
	}
	if slices.Contains(unbuilt[section], name) {
		if isOff(value) {
			return "", true, nil
		}
		return "", false, fmt.Errorf("%s is not built yet; leave it out", join(section, name))
	}
	return "", false, unknown(section, name)
}

// isOff says whether value switches a feature off.
func isOff(value string) bool {
	return slices.Contains([]string{"", "~", "null", "false", "no", "none", "0", "[]", "{}"}, strings.ToLower(value))
}

// unknown names the key that comes nearest, or where the key would be right.
func unknown(section, name string) error {
	for _, other := range slices.Sorted(maps.Keys(sections)) {
		if _, ok := sections[other][name]; ok {
			return fmt.Errorf("unknown key %q: it belongs %s", join(section, name), under(other))
		}
	}
	known := slices.Sorted(maps.Keys(sections[section]))
	if section == "" {
		known = append(known, slices.Sorted(maps.Keys(aliases))...)
	}
	near := slices.MinFunc(known, func(a, b string) int {
		return levenshtein.ComputeDistance(name, a) - levenshtein.ComputeDistance(name, b)
	})
	return fmt.Errorf("unknown key %q: the nearest that there is is %s", join(section, name), join(section, near))
}

func under(section string) string {
	if section == "" {
		return "at the outermost level"
	}
	return "under " + section
}

func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}
