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
	// ValSetSize is what is held out for evaluation: a share of the examples if
	// below 1, else their number. Default: 0, only what a data set's held_out
	// lists.
	ValSetSize float64 `json:"val_set_size" yaml:"val_set_size"`
	// SequenceLen is the length of the longest example, in tokens. Default: 512.
	SequenceLen int `json:"sequence_len" yaml:"sequence_len"`
	// Buckets are the lengths that batches are padded to, in tokens, ascending,
	// at most four; the last one is SequenceLen. Each costs a compilation.
	// Default: SequenceLen alone.
	Buckets []int `json:"length_buckets" yaml:"length_buckets"`
	// ExcessLengthStrategy says what becomes of longer examples: drop, truncate
	// or error. Default: drop.
	ExcessLengthStrategy string `json:"excess_length_strategy" yaml:"excess_length_strategy"`
	// TrainOnInputs computes the loss on prompts too, not on completions only.
	// Default: false.
	TrainOnInputs bool `json:"train_on_inputs" yaml:"train_on_inputs"`

	// Method is what is trained: full (all weights) or lora.
	Method string `json:"method" yaml:"method"`
	// LoRA configures method lora; nil for others.
	LoRA *LoRA `json:"lora,omitempty" yaml:"lora"`

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

	// Optimizer is adamw, which is the default.
	Optimizer string `json:"optimizer" yaml:"optimizer"`
	// LearningRate is the peak of the schedule. Default: 2e-5 for method full,
	// 2e-4 for lora.
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

	// EvalSteps is every how many steps the held-out loss is computed.
	// Default: 0, before the first step and after the last only.
	EvalSteps int `json:"eval_steps" yaml:"eval_steps"`
	// EvalExamples is how many held-out examples that loss is of. Default: 0,
	// all.
	EvalExamples int `json:"eval_examples" yaml:"eval_examples"`
	// EarlyStoppingPatience is not built; 0.
	EarlyStoppingPatience int `json:"early_stopping_patience" yaml:"early_stopping_patience"`
	// LoadBestModelAtEnd is not built; false.
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
	// Store is the object store for checkpoints and shards, a directory.
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
	// Path is a file, go:std (the standard library's declarations and their
	// first sentences) or go:src (its source text).
	Path string `json:"path" yaml:"path"`
	// Type is the form of the records. Default: guessed from the data.
	Type string `json:"type,omitempty" yaml:"type"`
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
	// ends of these after a dot; or all-linear alone. Default: all-linear.
	TargetModules []string `json:"target_modules" yaml:"target_modules"`
	// Bias says which biases are trained: none, which is the default.
	Bias string `json:"bias" yaml:"bias"`
}
