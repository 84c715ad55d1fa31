package job

// Spec is what a user submits: a recipe with its defaults filled in. The tags
// are the recipe's keys; a key without a default must be set. Numbers must be
// positive where nothing is said of zero.
type Spec struct {
	// BaseModel is the model to start from: a directory as Hugging Face lays it
	// out (config.json, model.safetensors, tokenizer.json).
	BaseModel string `json:"base_model" yaml:"base_model"`
	// ReinitWeights trains from random weights: of BaseModel only the
	// configuration and the tokenizer are used. Wants method full. Default: false.
	ReinitWeights bool `json:"reinit_weights" yaml:"reinit_weights"`

	// Datasets are the sources of examples, read in order.
	Datasets []Dataset `json:"datasets" yaml:"datasets"`
	// TestDatasets are sources of which everything is held out. Default: none.
	TestDatasets []Dataset `json:"test_datasets,omitempty" yaml:"test_datasets"`
	// ValSetSize is what is held out for evaluation: a share of the examples if
	// below 1, else their number. Default: 0, only what a data set's held_out
	// and TestDatasets list.
	ValSetSize float64 `json:"val_set_size" yaml:"val_set_size"`
	// GroupBy is a field of the records. Records with the same value in it are
	// held out together or trained on together. Default: none, each for itself.
	GroupBy string `json:"group_by,omitempty" yaml:"group_by"`
	// OnBadRow says what becomes of a record that cannot be used: error, or skip
	// and count. Default: error.
	OnBadRow string `json:"on_bad_row" yaml:"on_bad_row"`
	// DatasetExactDeduplication leaves out training examples that repeat an
	// earlier one. Default: false, they are counted.
	DatasetExactDeduplication bool `json:"dataset_exact_deduplication" yaml:"dataset_exact_deduplication"`
	// RemoveOverlap leaves out training examples whose input is held out too, but
	// for case, spaces and ways to write the same letter. Default: false, they
	// are counted.
	RemoveOverlap bool `json:"remove_overlap" yaml:"remove_overlap"`

	// TaskType is what the model learns: causal_lm (to go on with a text),
	// masked_lm (to guess words of a text that are hidden from it: for encoders),
	// seq_cls (to name a text's class), regression (to give a text a number) or
	// seq2seq_lm (to answer a text with another, by an encoder and a decoder).
	// Default: what the records are for; masked_lm is never guessed.
	TaskType string `json:"task_type,omitempty" yaml:"task_type"`
	// Labels are the classes, in the order of their numbers. Default: those of
	// the training data, numbers by size, else by alphabet.
	Labels []string `json:"labels,omitempty" yaml:"labels"`
	// Balance says how classes of different size are balanced: none, weights (of
	// the loss, examples / (classes x examples of the class)) or sampling
	// (classes are drawn equally often, with replacement). Default: none.
	Balance string `json:"balance" yaml:"balance"`
	// ClassWeights multiply the loss of each class, in the order of Labels.
	// Default: none, or what Balance says.
	ClassWeights []float64 `json:"class_weights,omitempty" yaml:"class_weights"`
	// ChatTemplate renders conversations: a name (chatml, qwen2, llama3, llama2,
	// gemma, mistral, alpaca or zephyr) or a Jinja file whose name ends in .jinja.
	// Default: the base model's own.
	ChatTemplate string `json:"chat_template,omitempty" yaml:"chat_template"`
	// MaskHistory learns the last answer of a conversation only, not each.
	// Default: false.
	MaskHistory bool `json:"mask_history" yaml:"mask_history"`
	// SourcePrefix is put before each source of seq2seq data: T5's task prefix,
	// such as "summarize: ". Default: none.
	SourcePrefix string `json:"source_prefix,omitempty" yaml:"source_prefix"`
	// SequenceLen is the length of the longest example, in tokens. Default: 512.
	SequenceLen int `json:"sequence_len" yaml:"sequence_len"`
	// Buckets are the lengths that batches are padded to, in tokens, ascending,
	// at most four; the last one is SequenceLen. Each costs a compilation.
	// Default: SequenceLen alone.
	Buckets []int `json:"length_buckets" yaml:"length_buckets"`
	// MaxTargetLength is the length of the longest answer that a decoder of its
	// own gives, in tokens. Default: 0, SequenceLen.
	MaxTargetLength int `json:"max_target_length,omitempty" yaml:"max_target_length"`
	// ExcessLengthStrategy says what becomes of longer examples: drop, truncate
	// or error. Default: truncate for classes and numbers, drop for everything
	// else; texts of masked_lm are cut into several examples.
	ExcessLengthStrategy string `json:"excess_length_strategy,omitempty" yaml:"excess_length_strategy"`
	// SamplePacking puts several short examples into one row. They do not see each
	// other. Default: false.
	SamplePacking bool `json:"sample_packing" yaml:"sample_packing"`
	// TrainOnInputs computes the loss on prompts too, not on completions only.
	// Default: false.
	TrainOnInputs bool `json:"train_on_inputs" yaml:"train_on_inputs"`

	// Method is what is trained: full (all weights), lora, adapter (bottlenecks
	// between the layers), prompt (virtual tokens in front of the text), prefix
	// (virtual keys and values in front of those of each layer), ia3 (a factor for
	// each channel), bitfit (biases) or feature (nothing in the model: a classifier on
	// top of what it makes of each text).
	Method string `json:"method" yaml:"method"`
	// LoRA configures method lora; left out for others.
	LoRA *LoRA `json:"lora,omitempty" yaml:"lora"`
	// Bottleneck configures method adapter.
	Bottleneck *Bottleneck `json:"bottleneck,omitempty" yaml:"bottleneck"`
	// Prompt configures method prompt.
	Prompt *Prompt `json:"prompt,omitempty" yaml:"prompt"`
	// Prefix configures method prefix.
	Prefix *Prefix `json:"prefix,omitempty" yaml:"prefix"`
	// IA3 configures method ia3.
	IA3 *IA3 `json:"ia3,omitempty" yaml:"ia3"`
	// Feature configures method feature.
	Feature *Feature `json:"feature,omitempty" yaml:"feature"`
	// InitFrom is the directory of an adapter to go on from, as PEFT or AdapterHub lays
	// it out, of the same Method. The section that configures the method may be left
	// out: then it is the adapter's, and what is in it must say the same. A head for
	// other classes begins anew. Default: none.
	InitFrom string `json:"init_from,omitempty" yaml:"init_from"`
	// InitSHA256 is the SHA-256 of the weights in InitFrom, as an export writes them:
	// another adapter there is refused. Default: that of what is there.
	InitSHA256 string `json:"init_sha256,omitempty" yaml:"init_sha256"`
	// UnfrozenParameters are regular expressions: of method full, only parameters
	// whose names one of them matches are trained. Default: none, all are.
	UnfrozenParameters []string `json:"unfrozen_parameters,omitempty" yaml:"unfrozen_parameters"`
	// LayerLRDecay multiplies the learning rate of method full by itself from each
	// layer to the one below it, in (0, 1]. Default: 1, all alike.
	LayerLRDecay float64 `json:"layer_lr_decay" yaml:"layer_lr_decay"`

	// Lanes is the number of places in the global batch, fixed for the job
	// whatever the number of nodes: a step sees Lanes x MicroBatchSize examples.
	// At most 4096. Default: 8.
	Lanes int `json:"lanes" yaml:"lanes"`
	// MicroBatchSize is the number of examples that a lane holds. Default: 1.
	MicroBatchSize int `json:"micro_batch_size" yaml:"micro_batch_size"`
	// MaxSteps is the number of updates. Default: 0, NumEpochs decides.
	MaxSteps int `json:"max_steps" yaml:"max_steps"`
	// NumEpochs is the number of passes over the data, in fractions too; 0 beside
	// MaxSteps. Default: 1 without MaxSteps.
	NumEpochs float64 `json:"num_epochs" yaml:"num_epochs"`
	// Seed keys everything that looks random. Default: 42.
	Seed uint64 `json:"seed" yaml:"seed"`

	// TokenDropout is the share of input tokens that are blanked out while
	// training, in [0, 1): an augmentation for little data. What is to be said
	// stays as it is. Default: 0.
	TokenDropout float64 `json:"token_dropout" yaml:"token_dropout"`
	// MLMProbability is the share of a text's tokens that masked_lm asks for, in
	// (0, 1]: of them 80 % are hidden, 10 % are replaced by random ones, and 10 %
	// stay, drawn anew each time. Default: 0, which is 0.15.
	MLMProbability float64 `json:"mlm_probability,omitempty" yaml:"mlm_probability"`
	// NeftuneNoiseAlpha scales the noise on embeddings while training (NEFTune);
	// 5 is common. Default: 0, none.
	NeftuneNoiseAlpha float64 `json:"neftune_noise_alpha" yaml:"neftune_noise_alpha"`

	// BF16 multiplies matrices that are rounded to bfloat16; sums, norms and softmax
	// stay in float32, and so do the trained numbers. For GPUs alone. Default: false.
	BF16 bool `json:"bf16" yaml:"bf16"`
	// GradientCheckpointing keeps less in memory while training: each layer is
	// computed a second time when its gradient is. Default: false.
	GradientCheckpointing bool `json:"gradient_checkpointing" yaml:"gradient_checkpointing"`

	// Optimizer is adamw, which is the default.
	Optimizer string `json:"optimizer" yaml:"optimizer"`
	// LearningRate is the peak of the schedule. Default: 2e-5 for method full,
	// 2e-4 for lora, 1e-3 for adapter (3e-4 for par_bn) and ia3, 1e-2 for prompt and
	// prefix (5e-5 with its projection), 5e-4 for bitfit; feature has no use for one.
	LearningRate float64 `json:"learning_rate" yaml:"learning_rate"`
	// LRScheduler is linear, cosine or constant, as in transformers; each climbs
	// from 0 during the warm-up. Default: cosine.
	LRScheduler string `json:"lr_scheduler" yaml:"lr_scheduler"`
	// WarmupRatio is the share of all steps that is warm-up, in [0, 1).
	// Default: 0.
	WarmupRatio float64 `json:"warmup_ratio" yaml:"warmup_ratio"`
	// WarmupSteps is the same in steps; only one of the two may be set.
	// Default: 0.
	WarmupSteps int `json:"warmup_steps" yaml:"warmup_steps"`
	// WeightDecay is decoupled; biases and norms do not decay. Default: 0, none.
	WeightDecay float64 `json:"weight_decay" yaml:"weight_decay"`
	// AdamBeta1 is how much of the mean gradient a step keeps, in [0, 1).
	// Default: 0.9.
	AdamBeta1 float64 `json:"adam_beta1" yaml:"adam_beta1"`
	// AdamBeta2 is how much of the mean squared gradient a step keeps, in [0, 1).
	// Default: 0.999.
	AdamBeta2 float64 `json:"adam_beta2" yaml:"adam_beta2"`
	// AdamEpsilon is added to the root of that mean. Default: 1e-8.
	AdamEpsilon float64 `json:"adam_epsilon" yaml:"adam_epsilon"`
	// MaxGradNorm is the norm that gradients are clipped to; 0: never.
	// Default: 1.
	MaxGradNorm float64 `json:"max_grad_norm" yaml:"max_grad_norm"`

	// Compression is how gradients are rounded before they are added up: q8
	// (stochastic), q16 or q32 (to nearest). Default: q8.
	Compression string `json:"compression" yaml:"compression"`
	// Algorithm is how nodes add up: auto, ring, twoshot or fanout. It changes
	// the time, never the bits. Default: auto.
	Algorithm string `json:"algorithm" yaml:"algorithm"`

	// EvalSteps is every how many steps the held-out loss is computed; after the
	// last it always is. Default: 0, after the last only.
	EvalSteps int `json:"eval_steps" yaml:"eval_steps"`
	// EvalExamples is how many held-out examples that loss is of. Default: 0,
	// all.
	EvalExamples int `json:"eval_examples" yaml:"eval_examples"`
	// EarlyStoppingPatience ends the job after so many evaluations in a row without
	// a lower held-out loss. Wants `load_best_model_at_end`. Default: 0, never.
	EarlyStoppingPatience int `json:"early_stopping_patience" yaml:"early_stopping_patience"`
	// LoadBestModelAtEnd exports the state with the lowest held-out loss of all
	// evaluations, not the last one. Each evaluation then ends with a checkpoint.
	// Wants `eval_steps`. Default: false.
	LoadBestModelAtEnd bool `json:"load_best_model_at_end" yaml:"load_best_model_at_end"`

	// SaveSteps is every how many steps a checkpoint is made; 0: after the last.
	// Default: 100.
	SaveSteps int `json:"save_steps" yaml:"save_steps"`
	// SaveMinutes makes one every so many minutes as well. Default: 0, never.
	SaveMinutes float64 `json:"save_minutes" yaml:"save_minutes"`
	// SaveTotalLimit is how many checkpoints are kept; 0: all. Default: 3.
	SaveTotalLimit int `json:"save_total_limit" yaml:"save_total_limit"`
	// SaveDtype is the type of the exported weights of method full: float32,
	// float16 or bfloat16. Adapters are float32. Default: float32.
	SaveDtype string `json:"save_dtype" yaml:"save_dtype"`
	// ResumeFromCheckpoint is not built (start train with --resume); empty.
	ResumeFromCheckpoint string `json:"resume_from_checkpoint" yaml:"resume_from_checkpoint"`
	// LoggingSteps is every how many steps a line is printed in a pipe.
	// Default: 1.
	LoggingSteps int `json:"logging_steps" yaml:"logging_steps"`
	// OutputDir is where everything that a run leaves behind goes. Default:
	// runs/ and the recipe's file name without its extension.
	OutputDir string `json:"output_dir" yaml:"output_dir"`
	// Store is where checkpoints and shards go: a folder, or s3://BUCKET/PREFIX.
	// Default: the folder store of OutputDir.
	Store string `json:"store" yaml:"store"`

	// Nodes is how many nodes the first roster waits for. Default: 1.
	Nodes int `json:"nodes" yaml:"nodes"`
	// MinNodes is how few may go on by themselves. Default: 1.
	MinNodes int `json:"min_nodes" yaml:"min_nodes"`
	// MaxNodes is how many may take part. Default: 0, as many as there are lanes.
	MaxNodes int `json:"max_nodes" yaml:"max_nodes"`
	// Mixed lets nodes whose backends give different bits train together. The
	// job then no longer gives the same bits twice. Default: false.
	Mixed bool `json:"mixed" yaml:"mixed"`
	// CPUThreads is the size of XLA's thread pool on CPUs. It changes the bits.
	// Default: 4.
	CPUThreads int `json:"cpu_threads" yaml:"cpu_threads"`
}

// Dataset is one source of examples.
type Dataset struct {
	// Path is a file, files with * and ? in their names, a folder, go:std (the
	// standard library's declarations and their first sentences) or go:src (its
	// source text).
	Path string `json:"path" yaml:"path"`
	// Type is the form of the records: completion, prompt_completion, alpaca,
	// sharegpt, messages, classification, regression or seq2seq. Default: guessed
	// from the first records.
	Type string `json:"type,omitempty" yaml:"type"`
	// DsType is the form of the file: json, jsonl, csv, tsv, parquet or text.
	// Default: what the end of its name says.
	DsType string `json:"ds_type,omitempty" yaml:"ds_type"`
	// Columns are the names of the columns of CSV and TSV files that begin without
	// a line of names. Default: none, the first line has them.
	Columns []string `json:"columns,omitempty" yaml:"columns"`
	// FieldText is the field that holds the text to learn or to judge. Default: text.
	FieldText string `json:"field_text,omitempty" yaml:"field_text"`
	// FieldText2 is the field that holds the second text of a pair. Default: text2.
	FieldText2 string `json:"field_text2,omitempty" yaml:"field_text2"`
	// FieldPrompt is the field that holds the prompt. Default: prompt.
	FieldPrompt string `json:"field_prompt,omitempty" yaml:"field_prompt"`
	// FieldCompletion is the field that holds the completion. Default: completion.
	FieldCompletion string `json:"field_completion,omitempty" yaml:"field_completion"`
	// FieldInstruction is the field that holds Alpaca's instruction. Default: instruction.
	FieldInstruction string `json:"field_instruction,omitempty" yaml:"field_instruction"`
	// FieldInput is the field that holds Alpaca's input. Default: input.
	FieldInput string `json:"field_input,omitempty" yaml:"field_input"`
	// FieldOutput is the field that holds Alpaca's answer. Default: output.
	FieldOutput string `json:"field_output,omitempty" yaml:"field_output"`
	// FieldSystem is the field that holds what the system says before a conversation. Default: system.
	FieldSystem string `json:"field_system,omitempty" yaml:"field_system"`
	// FieldMessages is the field that holds the list of messages. Default: messages or conversations.
	FieldMessages string `json:"field_messages,omitempty" yaml:"field_messages"`
	// FieldRole is the field that holds who speaks, in a message. Default: role or from.
	FieldRole string `json:"message_field_role,omitempty" yaml:"message_field_role"`
	// FieldContent is the field that holds what is said, in a message. Default: content or value.
	FieldContent string `json:"message_field_content,omitempty" yaml:"message_field_content"`
	// FieldLabel is the field that holds the class or the number. Default: label.
	FieldLabel string `json:"field_label,omitempty" yaml:"field_label"`
	// FieldSource is the field that holds the text to answer. Default: source.
	FieldSource string `json:"field_source,omitempty" yaml:"field_source"`
	// FieldTarget is the field that holds the answer. Default: target.
	FieldTarget string `json:"field_target,omitempty" yaml:"field_target"`
	// HeldOut lists packages of go:std and go:src that are evaluated, with their
	// subfolders, and never trained on. Default: none.
	HeldOut []string `json:"held_out,omitempty" yaml:"held_out"`
}

// LoRA configures method lora, in the words of PEFT.
type LoRA struct {
	// R is the rank of the correction. Default: 8.
	R int `json:"r" yaml:"r"`
	// LoraAlpha over R is what the correction is multiplied by. Default: 8.
	LoraAlpha float64 `json:"lora_alpha" yaml:"lora_alpha"`
	// LoraDropout is the share of the correction's input that is dropped while
	// training, in [0, 1). Default: 0.
	LoraDropout float64 `json:"lora_dropout" yaml:"lora_dropout"`
	// TargetModules are the modules to correct: their paths in the model or the
	// ends of these after a dot; or a regular expression that matches whole paths;
	// or all-linear alone. Default: all-linear.
	TargetModules []string `json:"target_modules" yaml:"target_modules"`
	// ExcludeModules are modules that are not corrected though TargetModules names
	// them. Default: none.
	ExcludeModules []string `json:"exclude_modules,omitempty" yaml:"exclude_modules"`
	// LayersToTransform are the numbers of the layers to correct, from 0. Default:
	// all.
	LayersToTransform []int `json:"layers_to_transform,omitempty" yaml:"layers_to_transform"`
	// RankPattern gives other ranks to modules, by the ends of their paths.
	// Default: none.
	RankPattern map[string]int `json:"rank_pattern,omitempty" yaml:"rank_pattern"`
	// AlphaPattern gives other alphas to modules, by the ends of their paths.
	// Default: none.
	AlphaPattern map[string]float64 `json:"alpha_pattern,omitempty" yaml:"alpha_pattern"`
	// ModulesToSave are modules that are trained whole and saved with the adapter.
	// Default: none; a classifier's head always is.
	ModulesToSave []string `json:"modules_to_save,omitempty" yaml:"modules_to_save"`
	// Bias says which biases are trained: none, all or lora_only (of the corrected
	// modules). Default: none.
	Bias string `json:"bias" yaml:"bias"`
	// UseRSLoRA divides LoraAlpha by the root of R, not by R. Default: false.
	UseRSLoRA bool `json:"use_rslora,omitempty" yaml:"use_rslora"`
	// UseDoRA trains the length of each row of the corrected weights apart from
	// their direction. Default: false.
	UseDoRA bool `json:"use_dora,omitempty" yaml:"use_dora"`
	// LoraplusLRRatio multiplies the learning rate of the B matrices (LoRA+); 16
	// is common. Default: 0, the rate is the same.
	LoraplusLRRatio float64 `json:"loraplus_lr_ratio,omitempty" yaml:"loraplus_lr_ratio"`
	// InitLoraWeights says how the A matrices begin: default (uniform, as PEFT's
	// true) or gaussian. Default: default.
	InitLoraWeights string `json:"init_lora_weights,omitempty" yaml:"init_lora_weights"`
}

// Bottleneck configures method adapter, in the words of AdapterHub.
type Bottleneck struct {
	// Architecture is where bottlenecks stand: seq_bn (Pfeiffer: after each
	// feed-forward part), double_seq_bn (Houlsby: after attention too) or par_bn
	// (beside the feed-forward part). Default: seq_bn.
	Architecture string `json:"architecture" yaml:"architecture"`
	// ReductionFactor is how many times narrower a bottleneck is than the model.
	// Default: 16; 2 for par_bn.
	ReductionFactor float64 `json:"reduction_factor,omitempty" yaml:"reduction_factor"`
	// BottleneckSize is the width of a bottleneck in its place. Default: 0, what
	// ReductionFactor says.
	BottleneckSize int `json:"bottleneck_size,omitempty" yaml:"bottleneck_size"`
	// ReductionFactors are those of single layers, by their numbers from 0; a
	// decoder's layers follow those of its encoder. Default: none.
	ReductionFactors map[string]float64 `json:"reduction_factors,omitempty" yaml:"reduction_factors"`
	// LeaveOut are the numbers of layers without a bottleneck, from 0. Default:
	// none.
	LeaveOut []int `json:"leave_out,omitempty" yaml:"leave_out"`
	// NonLinearity is relu, swish, gelu or tanh. Default: that of the architecture.
	NonLinearity string `json:"non_linearity,omitempty" yaml:"non_linearity"`
	// Scaling multiplies what a bottleneck adds. Default: 1; 4 for par_bn.
	Scaling float64 `json:"scaling,omitempty" yaml:"scaling"`
	// LearnScaling trains what multiplies in place of Scaling: learned (one number) or
	// channel (one for each channel). Default: none.
	LearnScaling string `json:"learn_scaling,omitempty" yaml:"learn_scaling"`
	// LNBefore normalises what goes into a bottleneck. Default: false.
	LNBefore bool `json:"ln_before,omitempty" yaml:"ln_before"`
	// LNAfter normalises what comes out of it. Default: false.
	LNAfter bool `json:"ln_after,omitempty" yaml:"ln_after"`
	// OriginalLNBefore puts the model's own norm before a bottleneck. Default: that
	// of the architecture.
	OriginalLNBefore *bool `json:"original_ln_before,omitempty" yaml:"original_ln_before"`
	// OriginalLNAfter puts the model's own norm after it. Default: true.
	OriginalLNAfter *bool `json:"original_ln_after,omitempty" yaml:"original_ln_after"`
	// ResidualBeforeLN takes the residual stream before the model's norm. Default:
	// true.
	ResidualBeforeLN *bool `json:"residual_before_ln,omitempty" yaml:"residual_before_ln"`
	// CrossAdapter puts bottlenecks after a decoder's attention to the encoder too.
	// Default: false.
	CrossAdapter bool `json:"cross_adapter,omitempty" yaml:"cross_adapter"`
	// InitWeights says how bottlenecks begin: bert (normal), houlsby (normal and
	// cut, smaller) or mam_adapter (what comes out is 0). Default: bert; mam_adapter
	// for par_bn.
	InitWeights string `json:"init_weights,omitempty" yaml:"init_weights"`
}

// Prompt configures method prompt, in the words of PEFT.
type Prompt struct {
	// NumVirtualTokens is the length of the prompt. Default: 20.
	NumVirtualTokens int `json:"num_virtual_tokens" yaml:"num_virtual_tokens"`
	// PromptTuningInit says how it begins: sample_vocab (embeddings of tokens drawn
	// from the vocabulary), random, text (those of PromptTuningInitText) or
	// class_labels (those of Labels). Default: sample_vocab.
	PromptTuningInit string `json:"prompt_tuning_init" yaml:"prompt_tuning_init"`
	// PromptTuningInitText is the text that a prompt begins as. Default: none.
	PromptTuningInitText string `json:"prompt_tuning_init_text,omitempty" yaml:"prompt_tuning_init_text"`
}

// Prefix configures method prefix, in the words of PEFT.
type Prefix struct {
	// NumVirtualTokens is the length of the prefix. Default: 20.
	NumVirtualTokens int `json:"num_virtual_tokens" yaml:"num_virtual_tokens"`
	// PrefixProjection makes the prefix by a small network, which is trained in its
	// place. Default: false.
	PrefixProjection bool `json:"prefix_projection,omitempty" yaml:"prefix_projection"`
	// EncoderHiddenSize is the width of that network. Default: 0, the model's.
	EncoderHiddenSize int `json:"encoder_hidden_size,omitempty" yaml:"encoder_hidden_size"`
	// PrefixInit says how a prefix without PrefixProjection begins: text (the keys
	// and values of PrefixInitText), sample_vocab (those of tokens drawn from the
	// vocabulary), zero or random (normal numbers, as PEFT's, which hardly learn).
	// Default: text with a PrefixInitText, else sample_vocab; zero for T5.
	PrefixInit string `json:"prefix_init,omitempty" yaml:"prefix_init"`
	// PrefixInitText is a text whose own keys and values the prefix begins as.
	// Default: none.
	PrefixInitText string `json:"prefix_init_text,omitempty" yaml:"prefix_init_text"`
}

// IA3 configures method ia3, in the words of PEFT.
type IA3 struct {
	// TargetModules are the modules whose outputs are scaled, as those of LoRA.
	// Default: keys, values and the second map of the feed-forward part.
	TargetModules []string `json:"target_modules,omitempty" yaml:"target_modules"`
	// FeedforwardModules are those of TargetModules whose inputs are scaled.
	// Default: the second map of the feed-forward part.
	FeedforwardModules []string `json:"feedforward_modules,omitempty" yaml:"feedforward_modules"`
}

// Feature configures method feature.
type Feature struct {
	// Pooling is what stands for a text: mean (of what the model makes of its
	// tokens), cls (of its first token) or last (of its last one). Default: mean.
	Pooling string `json:"pooling" yaml:"pooling"`
	// Classifier is what is trained on top: logistic (a logistic regression; to
	// numbers, a ridge regression; to text that a decoder writes, a new output layer) or mlp (a network with one hidden layer, for
	// classes). How strongly large weights are punished is chosen by
	// cross-validation. Default: logistic.
	Classifier string `json:"classifier" yaml:"classifier"`
	// HiddenSize is the width of the hidden layer of an mlp. Default: 64.
	HiddenSize int `json:"hidden_size,omitempty" yaml:"hidden_size"`
}
