package job

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// small is a whole recipe; tests append to it.
const small = "base_model: demo/base\ndatasets: [{path: go:std}]\nmethod: lora\n"

func TestParseFillsInDefaults(t *testing.T) {
	s, err := Parse("recipes/mine.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	want := Spec{
		BaseModel: "demo/base", Datasets: []Dataset{{Path: "go:std"}},
		SequenceLen: 512, Buckets: []int{512}, OnBadRow: "error", Balance: "none", LayerLRDecay: 1,
		Method: "lora", LoRA: &LoRA{R: 8, LoraAlpha: 8, TargetModules: []string{"all-linear"}, Bias: "none"},
		Lanes: 8, MicroBatchSize: 1, NumEpochs: 1, Seed: 42,
		Optimizer: "adamw", LearningRate: 2e-4, LRScheduler: "cosine",
		AdamBeta1: 0.9, AdamBeta2: 0.999, AdamEpsilon: 1e-8, MaxGradNorm: 1,
		Compression: "q8", Algorithm: "auto", SaveSteps: 100, SaveTotalLimit: 3, SaveDtype: "float32",
		LoggingSteps: 1, OutputDir: "runs/mine", Nodes: 1, MinNodes: 1, CPUThreads: 4,
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("Parse = %+v\nwant    %+v", s, want)
	}
}

func TestParseReadsEveryKey(t *testing.T) {
	text, err := os.ReadFile("testdata/whole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse("whole.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	want := Spec{
		BaseModel: "models/gpt2", Datasets: []Dataset{
			{Path: "go:std", Type: "prompt_completion", HeldOut: []string{"net/http", "sync"}},
			{Path: "more.csv", Type: "classification", DsType: "tsv", Columns: []string{"words", "kind"}, FieldText: "words", FieldLabel: "kind"},
		},
		TestDatasets: []Dataset{{Path: "test.jsonl"}}, GroupBy: "author", OnBadRow: "skip", DatasetExactDeduplication: true, RemoveOverlap: true,
		TaskType: SeqCls, Labels: []string{"bad", "good"}, Balance: "weights", ClassWeights: []float64{1, 2.5},
		ChatTemplate: "chatml", MaskHistory: true, SourcePrefix: "say: ", TokenDropout: 0.1, NeftuneNoiseAlpha: 5, BF16: true, GradientCheckpointing: true,
		ValSetSize: 0.05, SequenceLen: 256, Buckets: []int{64, 256}, ExcessLengthStrategy: "truncate", TrainOnInputs: true,
		Method: "lora", LayerLRDecay: 1, LoRA: &LoRA{R: 4, LoraAlpha: 16, LoraDropout: 0.05, TargetModules: []string{"c_attn", "c_proj"}, ExcludeModules: []string{"h.0.mlp.c_proj"},
			LayersToTransform: []int{0, 1}, RankPattern: map[string]int{"c_proj": 2}, AlphaPattern: map[string]float64{"c_proj": 3.5},
			ModulesToSave: []string{"lm_head"}, Bias: "lora_only", UseRSLoRA: true, UseDoRA: true, LoraplusLRRatio: 16, InitLoraWeights: "gaussian"},
		Lanes: 16, MicroBatchSize: 2, MaxSteps: 200, Seed: 1 << 63,
		Optimizer: "adamw", LearningRate: 2e-4, LRScheduler: "linear", WarmupRatio: 0.03, WeightDecay: 0.01,
		AdamBeta1: 0.8, AdamBeta2: 0.95, AdamEpsilon: 1e-6, MaxGradNorm: 0.5,
		Compression: "q16", Algorithm: "ring", EvalSteps: 50, EvalExamples: 128,
		SaveSteps: 25, SaveMinutes: 2.5, SaveTotalLimit: 2, SaveDtype: "float32", LoggingSteps: 10,
		OutputDir: "out", Store: "store", Nodes: 3, MinNodes: 2, MaxNodes: 4, Mixed: true, CPUThreads: 2,
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("Parse = %+v\nwant    %+v", s, want)
	}
	for key := range sections[""] {
		if !strings.Contains(string(text), "\n"+key+":") && !slices.Contains([]string{"num_epochs", "warmup_steps", "reinit_weights", "unfrozen_parameters", "bottleneck", "prompt", "prefix", "ia3", "feature", "init_from", "init_sha256"}, key) {
			t.Errorf("testdata/whole.yaml does not set %s", key)
		}
	}
}

func TestSectionsOfMethods(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Spec // its section and learning rate
	}{
		{"method: adapter", Spec{Bottleneck: &Bottleneck{Architecture: "seq_bn"}, LearningRate: 1e-3}},
		{"method: adapter\nbottleneck: {architecture: par_bn, reduction_factor: 4, original_ln_before: false}",
			Spec{Bottleneck: &Bottleneck{Architecture: "par_bn", ReductionFactor: 4, OriginalLNBefore: new(bool)}, LearningRate: 3e-4}},
		{"method: prompt", Spec{Prompt: &Prompt{NumVirtualTokens: 20, PromptTuningInit: "sample_vocab"}, LearningRate: 1e-2}},
		{"method: prefix\nprefix: {num_virtual_tokens: 5}", Spec{Prefix: &Prefix{NumVirtualTokens: 5}, LearningRate: 1e-2}},
		{"method: prefix\nprefix: {prefix_projection: true}", Spec{Prefix: &Prefix{NumVirtualTokens: 20, PrefixProjection: true}, LearningRate: 5e-5}},
		{"method: ia3", Spec{IA3: &IA3{}, LearningRate: 1e-3}},
		{"method: bitfit", Spec{LearningRate: 5e-4}},
		{"method: feature", Spec{Feature: &Feature{Pooling: "mean", Classifier: "logistic"}, LearningRate: 1}},
		{"method: feature\nfeature: {pooling: cls, classifier: mlp, hidden_size: 32}", Spec{Feature: &Feature{Pooling: "cls", Classifier: "mlp", HiddenSize: 32}, LearningRate: 1}},
	} {
		s, err := Parse("r.yaml", []byte("base_model: b\ndatasets: {path: x}\n"+tt.text+"\n"))
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		got := Spec{Bottleneck: s.Bottleneck, Prompt: s.Prompt, Prefix: s.Prefix, IA3: s.IA3, Feature: s.Feature, LearningRate: s.LearningRate}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.text, got.Encode(), tt.want.Encode())
		}
		if err := s.Set("method", "full"); err != nil || s.Validate() != nil {
			t.Errorf("%s, then method full: %v, %v", tt.text, err, s.Validate())
		}
	}
}

func TestParseTakesAxolotlsSpellings(t *testing.T) {
	theirs := "base_model: b\ndatasets: {path: x.jsonl}\nadapter: lora\nlora_r: 4\nlora_alpha: 32\nlora_dropout: 0.1\nlora_target_modules: [q_proj]\nbf16: false\nwarmup_ratio:\n"
	ours := "base_model: b\ndatasets: [{path: x.jsonl}]\nmethod: lora\nlora: {r: 4, lora_alpha: 32, lora_dropout: 0.1, target_modules: q_proj}\n"
	a, err := Parse("r.yaml", []byte(theirs))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse("r.yaml", []byte(ours))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("flat: %+v\nnested: %+v", a, b)
	}
}

// Each recipe has one mistake; the error names the place and what would be right.
func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "r.yaml: nothing in it: want keys such as base_model, datasets and method"},
		{"# only this\n", "r.yaml: nothing in it"},
		{"- a\n", "r.yaml:1: found a list; want keys with values"},
		{"a: [\n", "r.yaml: not YAML: "},
		{small + "---\n" + small, "r.yaml: more than one YAML document"},
		{small + "learning_rat: 1\n", `r.yaml:4: unknown key "learning_rat": the nearest that there is is learning_rate`},
		{small + "lora: {rr: 8}\n", `r.yaml:4: unknown key "lora.rr": the nearest that there is is lora.r`},
		{small + "target_modules: [c]\n", `r.yaml:4: unknown key "target_modules": it belongs under ia3`},
		{small + "lora:\n  r: 8\n  lanes: 4\n", `r.yaml:6: unknown key "lora.lanes": it belongs at the outermost level`},
		{"datasets:\n  - path: x\n    pth: y\n", `r.yaml:3: unknown key "datasets.pth": the nearest that there is is datasets.path`},
		{small + "num_train_epochs: 3\n", "r.yaml:4: num_train_epochs is spelled num_epochs here: write num_epochs: 3"},
		{small + "gradient_accumulation_steps: 4\n", "r.yaml:4: gradient_accumulation_steps is not a key here: a step sums lanes x micro_batch_size examples on any number of nodes; write lanes: 4 times"},
		{small + "per_device_train_batch_size: 2\n", "r.yaml:4: per_device_train_batch_size is spelled micro_batch_size here: write micro_batch_size: 2"},
		{small + "max_seq_length: 128\n", "write sequence_len: 128"},
		{small + "sequence_length: 128\n", "write sequence_len: 128"},
		{small + "lr_scheduler_type: cosine\n", "write lr_scheduler: cosine"},
		{small + "torch_dtype: bfloat16\n", "r.yaml:4: torch_dtype is not a key here: numbers are float32 while training"},
		{small + "eval_sample_packing: true\n", "held-out examples are packed as training examples are; leave it out"},
		{small + "packing: true\n", "packing is spelled sample_packing here"},
		{small + "sample_packing: true\ntask_type: seq_cls\n", "r.yaml:4: sample_packing: true with task_type seq_cls; only causal_lm examples are packed"},
		{small + "balance: weights\ntask_type: regression\n", "r.yaml:4: balance: weights with task_type regression; only seq_cls has classes"},
		{small + "labels: [a, b]\nclass_weights: [1]\n", "r.yaml:5: class_weights: 1 weights for 2 labels; want one for each"},
		{small + "labels: [a, b, a]\n", `r.yaml:4: labels: "a" stands twice; want each class once`},
		{small + "class_weights: [1, 0]\n", "class_weights[1]: 0; want a number above 0"},
		{small + "task_type: CAUSAL_LM\n", "task_type: CAUSAL_LM is spelled causal_lm here"},
		{small + "task_type: fill-mask\n", "task_type: fill-mask is spelled masked_lm here"},
		{small + "masked_lm_prob: 0.2\n", "masked_lm_prob is spelled mlm_probability here: write mlm_probability: 0.2"},
		{small + "mlm_probability: 0.2\ntask_type: causal_lm\n", "r.yaml:4: mlm_probability: 0.2 with task_type causal_lm; only masked_lm hides tokens"},
		{small + "mlm: true\n", "mlm is not a key here: write task_type: masked_lm"},
		{small + "whole_word_mask: true\n", "whole_word_mask is not built yet; leave it out"},
		{small + "mlm_probability: 1.5\n", "mlm_probability: 1.5; want a number from 0 to 1"},
		{small + "token_dropout: 0.2\ntask_type: masked_lm\n", "r.yaml:4: token_dropout: 0.2 with task_type masked_lm, which hides tokens itself"},
		{small + "sample_packing: true\ntask_type: masked_lm\n", "sample_packing: true with task_type masked_lm; only causal_lm examples are packed"},
		{small + "task_type: token_cls\n", "task_type: token_cls is not built yet"},
		{small + "on_bad_row: ignore\n", `on_bad_row: "ignore" is unknown; want error or skip`},
		{small + "test_datasets: [{type: alpaca}]\n", "test_datasets[0]: path missing"},
		{small + "test_datasets: [{path: x, pth: y}]\n", `r.yaml:4: unknown key "datasets.pth"`},
		{small + "test_datasets: [{path: x, ds_type: xml}]\n", `test_datasets[0].ds_type: "xml" is unknown; want json, jsonl, csv, tsv, parquet or text`},
		{small + "delayed_scaling: true\n", "delayed_scaling is not built yet"},
		{small + "priority: high\n", "priority is not built yet; leave it out"},
		{small + "lora: {rank: 4}\n", "r.yaml:4: lora.rank is spelled lora.r here: write lora.r: 4"},
		{small + "hub: true\n", "r.yaml:4: hub is not built yet; leave it out"},
		{small + "lora: {lora_bias: true}\n", "r.yaml:4: lora.lora_bias is not built yet"},
		{small + "compression: topk\n", "r.yaml:4: compression: topk is not built yet; want q8, q16 or q32"},
		{small + "compression: q4\n", "q4 is not built yet"},
		{small + "compression: q9\n", `compression: "q9" is unknown; want q8, q16 or q32`},
		{strings.Replace(small, "lora", "qlora", 1), "r.yaml:3: method: qlora is not built yet; want full, lora,"},
		{"base_model: b\ndatasets: {path: x}\n", "r.yaml: method: missing; want full, lora, adapter"},
		{"datasets: {path: x}\nmethod: full\n", "r.yaml: base_model: missing"},
		{"base_model: b\nmethod: full\n", "r.yaml: datasets: missing"},
		{"base_model: b\nmethod: full\ndatasets:\n- type: text\n", "datasets[0]: path missing"},
		{"base_model: b\nmethod: full\ndatasets: go:std\n", "r.yaml:3: datasets[0]: found \"go:std\"; want keys with values"},
		{small + "optimizer: adamw_torch\n", "r.yaml:4: optimizer: adamw_torch is spelled adamw here"},
		{small + "excess_length_strategy: raise\n", "raise is spelled error here"},
		{small + "early_stopping_patience: 3\n", "r.yaml:4: early_stopping_patience: without load_best_model_at_end"},
		{small + "load_best_model_at_end: true\n", "load_best_model_at_end: without eval_steps"},
		{small + "load_best_model_at_end: true\neval_steps: 5\n", "load_best_model_at_end: nothing is held out"},
		{small + "resume_from_checkpoint: out\n", "start train with --resume"},
		{small + "max_steps: many\n", `r.yaml:4: max_steps: found "many"; want a whole number`},
		{small + "max_steps: 1.5\n", `max_steps: found "1.5"; want a whole number`},
		{small + "max_steps: '15'\n", `max_steps: found "15"; want a whole number`},
		{small + "max_steps: [1]\n", "max_steps: found a list; want a whole number"},
		{small + "learning_rate: .nan\n", `learning_rate: found ".nan"; want a number`},
		{small + "learning_rate: 0\n", "r.yaml:4: learning_rate: 0; want a number above 0 to 1000000"},
		{small + "mixed: maybe\n", `mixed: found "maybe"; want true or false`},
		{small + "output_dir: 5\n", `output_dir: found "5"; want text`},
		{small + "seed: -1\n", `seed: found "-1"; want a whole number from 0`},
		{small + "lanes: 0\n", "r.yaml:4: lanes: 0; want a number from 1 to 4096"},
		{small + "lora: {r: 0}\n", "r.yaml:4: lora.r: 0; want a number from 1"},
		{small + "lora_r: 0\n", "r.yaml:4: lora.r: 0; want"},
		{small + "lora: {bias: some}\n", `lora.bias: "some" is unknown; want none, all or lora_only`},
		{small + "lora: {rank_pattern: 3}\n", `r.yaml:4: lora.rank_pattern: found "3"; want names with numbers`},
		{small + "lora: {rank_pattern: {q: x}}\n", `r.yaml:4: lora.rank_pattern.q: found "x"; want a whole number`},
		{small + "lora: {rank_pattern: {q: 0}}\n", "lora.rank_pattern: q: 0; want a rank of at least 1"},
		{small + "layer_lr_decay: 0.9\n", "r.yaml:4: layer_lr_decay: 0.9 with method lora"},
		{small + "unfrozen_parameters: [h.1]\n", "r.yaml:4: unfrozen_parameters: with method lora"},
		{small + "prompt: {num_virtual_tokens: 3}\n", "r.yaml:4: prompt: configures method prompt, but method is lora"},
		{"base_model: b\ndatasets: {path: x}\nmethod: prompt\nprompt: {prompt_tuning_init: text}\n", "prompt.prompt_tuning_init_text: missing"},
		{"base_model: b\ndatasets: {path: x}\nmethod: prefix\nprefix: {encoder_hidden_size: 3}\n", "prefix.encoder_hidden_size: without prefix_projection"},
		{"base_model: b\ndatasets: {path: x}\nmethod: feature\nfeature: {hidden_size: 3}\n", "r.yaml:4: feature.hidden_size: 3 with classifier: logistic"},
		{"base_model: b\ndatasets: {path: x}\nmethod: feature\nfeature: {pooling: max}\n", "feature.pooling: \"max\" is unknown; want mean, cls or last"},
		{"base_model: b\ndatasets: {path: x}\nmethod: feature\ntask_type: masked_lm\n", "want task_type seq_cls, regression, causal_lm or seq2seq_lm, or method lora or prefix"},
		{"base_model: b\ndatasets: {path: x}\nmethod: feature\ntask_type: regression\nfeature: {classifier: mlp}\n", "r.yaml:5: feature.classifier: mlp with task_type regression"},
		{"base_model: b\ndatasets: {path: x}\nmethod: adapter\nbottleneck: {architecture: bn}\n", `bottleneck.architecture: "bn" is unknown; want seq_bn, double_seq_bn or par_bn`},
		{"base_model: b\ndatasets: {path: x}\nmethod: adapter\nbottleneck: {bottleneck_size: 8, reduction_factor: 2}\n", "bottleneck.bottleneck_size: 8 beside reduction_factor 2"},
		{small + "lora: {target_modules: []}\n", "lora.target_modules: a name is missing"},
		{small + "lora: {target_modules: [all-linear, c_attn]}\n", "want it alone"},
		{small + "seed: 1\nseed: 2\n", "seed"},
		{small + "lora: {r: 4}\nlora_r: 4\n", "r.yaml:5: lora.r is set on line 4 already"},
		{small + "max_steps: 10\nnum_epochs: 2\n", "r.yaml:5: num_epochs: 2 beside max_steps 10; want one of the two"},
		{small + "warmup_steps: 10\nwarmup_ratio: 0.1\n", "r.yaml:5: warmup_ratio: 0.1 beside warmup_steps 10"},
		{small + "warmup_steps: 10\nmax_steps: 10\n", "warmup_steps: 10 of 10 max_steps"},
		{small + "val_set_size: 1.5\n", "val_set_size: 1.5; want a share below 1 or a whole number"},
		{small + "length_buckets: [64, 32]\nsequence_len: 64\n", "r.yaml:4: length_buckets: [64 32]; want one to 4 lengths"},
		{small + "length_buckets: [32, 64]\n", "the last one sequence_len (512)"},
		{small + "reinit_weights: true\n", "r.yaml:4: reinit_weights: random weights stay random with method lora"},
		{small + "save_dtype: float16\n", "save_dtype: float16; adapters are written as float32"},
		{"base_model: b\ndatasets: {path: x}\nmethod: full\nlora: {r: 4}\n", "r.yaml:4: lora: configures method lora, but method is full"},
		{small + "nodes: 2\nmin_nodes: 3\n", "r.yaml:5: min_nodes: 3 is above nodes 2"},
		{small + "nodes: 3\nmax_nodes: 2\n", "r.yaml:5: max_nodes: 2 is below nodes 3"},
		{"a: &a [*a]\n", "r.yaml"},
		{"base_model: b\nmethod: full\ndatasets: &d\n- path: x\n  held_out: *d\n", "r.yaml"},
	} {
		_, err := Parse("r.yaml", []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "r.yaml:") {
			t.Errorf("Parse(%q)\nerror %v\nwant  %s", strings.TrimPrefix(tt.text, small), err, tt.want)
		}
	}
}

func TestEveryHintNamesAKeyThatThereIs(t *testing.T) {
	for section, names := range spelled {
		for name, to := range names {
			if _, ok := sections[section][name]; ok {
				t.Errorf("%s in %q is a key of ours", name, section)
			}
			if key, _, err := find(cutKey(join(section, to))); err != nil || key != join(section, to) {
				t.Errorf("%s: %s leads to %q, %v", name, to, key, err)
			}
		}
	}
	for name := range differs {
		if _, ok := sections[""][name]; ok || slices.Contains(unbuilt[""], name) || spelled[""][name] != "" {
			t.Errorf("%s is explained twice", name)
		}
	}
	for section, names := range unbuilt {
		for _, name := range names {
			if _, ok := sections[section][name]; ok || spelled[section][name] != "" || section == "" && aliases[name] != "" {
				t.Errorf("%s in %q is refused and built", name, section)
			}
		}
	}
}

// cutKey returns the arguments of find for a dotted key.
func cutKey(full string) (section, name, value string) {
	section, name, ok := strings.Cut(full, ".")
	if !ok {
		return "", full, ""
	}
	return section, name, ""
}

func TestLoadNamesAMissingFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	if err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("error %v; want one that names none.yaml", err)
	}
}

func TestTheRecipesOfTheRepositoryParse(t *testing.T) {
	demo, err := Load("../recipes/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	base, err := Load("../recipes/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	held := []string{"container/list", "encoding/json", "image/png", "net/http", "os/exec", "strconv", "sync", "text/template"}
	if !slices.Equal(demo.Datasets[0].HeldOut, held) || !slices.Equal(base.Datasets[0].HeldOut, held) {
		t.Errorf("held out: demo %q, base %q; want %q for both, or the demo's loss is of text that its base was trained on",
			demo.Datasets[0].HeldOut, base.Datasets[0].HeldOut, held)
	}
	// The weights in demo/base were trained with these.
	want := Spec{
		BaseModel: "demo/base", ReinitWeights: true, Datasets: []Dataset{{Path: "go:src", Type: "text", HeldOut: held}},
		SequenceLen: 256, Buckets: []int{256}, OnBadRow: "error", Balance: "none", LayerLRDecay: 1, Method: "full",
		Lanes: 4, MicroBatchSize: 4, MaxSteps: 1000, Seed: 42, Optimizer: "adamw", LearningRate: 1.5e-3,
		LRScheduler: "cosine", WarmupSteps: 100, WeightDecay: 0.1, AdamBeta1: 0.9, AdamBeta2: 0.95, AdamEpsilon: 1e-8,
		MaxGradNorm: 1, Compression: "q16", Algorithm: "auto", SaveSteps: 100, SaveMinutes: 10, SaveTotalLimit: 3,
		EvalExamples: 400, SaveDtype: "float16", LoggingSteps: 1, OutputDir: "out/base", Nodes: 1, MinNodes: 1, CPUThreads: 4,
	}
	if !reflect.DeepEqual(base, want) {
		t.Errorf("base.yaml: %+v\nwant       %+v", base, want)
	}
}

func FuzzParse(f *testing.F) {
	whole, err := os.ReadFile("testdata/whole.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(small + "lora: {r: 8}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("datasets: [{path: &p x}, {path: *p}]\n<<: {a: b}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("r.yaml", text)
		if err != nil {
			return
		}
		again, err := DecodeSpec(s.Encode())
		if err != nil || !reflect.DeepEqual(normal(again), normal(s)) {
			t.Errorf("%q: decoded %+v, %v; want %+v", text, again, err, s)
		}
	})
}

// normal has no lists that are empty but not nil.
func normal(s Spec) Spec {
	s.Datasets = slices.Clone(s.Datasets)
	for i, d := range s.Datasets {
		if len(d.HeldOut) == 0 {
			s.Datasets[i].HeldOut = nil
		}
	}
	return s
}
