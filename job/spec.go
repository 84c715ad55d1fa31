package job

// Spec is what a user submits: a recipe with its defaults filled in. The tags
// are the recipe's keys.
type Spec struct {
	BaseModel            string    `json:"base_model" yaml:"base_model"`
	Datasets             []Dataset `json:"datasets" yaml:"datasets"`
	ValSetSize           float64   `json:"val_set_size" yaml:"val_set_size"`
	SequenceLen          int       `json:"sequence_len" yaml:"sequence_len"`
	Buckets              []int     `json:"length_buckets" yaml:"length_buckets"`
	ExcessLengthStrategy string    `json:"excess_length_strategy" yaml:"excess_length_strategy"`
	TrainOnInputs        bool      `json:"train_on_inputs" yaml:"train_on_inputs"`
	ReinitWeights        bool      `json:"reinit_weights" yaml:"reinit_weights"`
	Method               string    `json:"method" yaml:"method"`
	LoRA                 *LoRA     `json:"lora,omitempty" yaml:"lora"`
	Lanes                int       `json:"lanes" yaml:"lanes"`
	MicroBatchSize       int       `json:"micro_batch_size" yaml:"micro_batch_size"`
	MaxSteps             int       `json:"max_steps" yaml:"max_steps"`
	NumEpochs            float64   `json:"num_epochs" yaml:"num_epochs"`
	Optimizer            string    `json:"optimizer" yaml:"optimizer"`
	LearningRate         float64   `json:"learning_rate" yaml:"learning_rate"`
	LRScheduler          string    `json:"lr_scheduler" yaml:"lr_scheduler"`
	WarmupRatio          float64   `json:"warmup_ratio" yaml:"warmup_ratio"`
	WarmupSteps          int       `json:"warmup_steps" yaml:"warmup_steps"`
	WeightDecay          float64   `json:"weight_decay" yaml:"weight_decay"`
	AdamBeta1            float64   `json:"adam_beta1" yaml:"adam_beta1"`
	AdamBeta2            float64   `json:"adam_beta2" yaml:"adam_beta2"`
	AdamEpsilon          float64   `json:"adam_epsilon" yaml:"adam_epsilon"`
	MaxGradNorm          float64   `json:"max_grad_norm" yaml:"max_grad_norm"`
	Compression          string    `json:"compression" yaml:"compression"`
	Algorithm            string    `json:"algorithm" yaml:"algorithm"`
	Seed                 uint64    `json:"seed" yaml:"seed"`
	EvalSteps            int       `json:"eval_steps" yaml:"eval_steps"`
	EvalExamples         int       `json:"eval_examples" yaml:"eval_examples"`
	SaveSteps            int       `json:"save_steps" yaml:"save_steps"`
	SaveMinutes          float64   `json:"save_minutes" yaml:"save_minutes"`
	SaveTotalLimit       int       `json:"save_total_limit" yaml:"save_total_limit"`
	SaveDtype            string    `json:"save_dtype" yaml:"save_dtype"`
	LoggingSteps         int       `json:"logging_steps" yaml:"logging_steps"`
	OutputDir            string    `json:"output_dir" yaml:"output_dir"`
	Store                string    `json:"store" yaml:"store"`
	Nodes                int       `json:"nodes" yaml:"nodes"`
	MinNodes             int       `json:"min_nodes" yaml:"min_nodes"`
	MaxNodes             int       `json:"max_nodes" yaml:"max_nodes"`
	Mixed                bool      `json:"mixed" yaml:"mixed"`
	CPUThreads           int       `json:"cpu_threads" yaml:"cpu_threads"`
}

// Dataset is one source of examples.
type Dataset struct {
	Path    string   `json:"path" yaml:"path"`
	Type    string   `json:"type" yaml:"type"`
	HeldOut []string `json:"held_out" yaml:"held_out"`
}

// LoRA configures method lora, in the words of PEFT.
type LoRA struct {
	R             int      `json:"r" yaml:"r"`
	LoraAlpha     float64  `json:"lora_alpha" yaml:"lora_alpha"`
	LoraDropout   float64  `json:"lora_dropout" yaml:"lora_dropout"`
	TargetModules []string `json:"target_modules" yaml:"target_modules"`
	Bias          string   `json:"bias" yaml:"bias"`
}
