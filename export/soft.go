package export

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"carillon/job"
	"carillon/safetensors"
)

const (
	promptKey  = "prompt_embeddings"
	softPrefix = "base_model." // begins the keys of what is saved beside a prompt or a prefix
	seq2seqLM  = "SEQ_2_SEQ_LM"
)

// softConfig is what a prompt says in adapter_config.json as a prefix does.
type softConfig struct {
	AutoMapping   any      `json:"auto_mapping"`
	Base          string   `json:"base_model_name_or_path"`
	InferenceMode bool     `json:"inference_mode"`
	ModulesToSave []string `json:"modules_to_save"`
	Heads         int      `json:"num_attention_heads"`
	Layers        int      `json:"num_layers"`
	Submodules    int      `json:"num_transformer_submodules"`
	Tokens        int      `json:"num_virtual_tokens"`
	PEFTType      string   `json:"peft_type"`
	Revision      any      `json:"revision"`
	TaskType      *string  `json:"task_type"`
	TokenDim      int      `json:"token_dim"`
}

// promptConfig is what a prompt says besides.
type promptConfig struct {
	softConfig
	Init            string  `json:"prompt_tuning_init"`
	InitText        *string `json:"prompt_tuning_init_text"`
	Tokenizer       *string `json:"tokenizer_name_or_path"`
	TokenizerKwargs any     `json:"tokenizer_kwargs"`
}

// prefixConfig is what a prefix says besides.
type prefixConfig struct {
	softConfig
	Hidden      int     `json:"encoder_hidden_size"`
	InitWeights *string `json:"init_weights"`
	Projection  bool    `json:"prefix_projection"`
}

// softAdapter makes dir a PEFT directory of a prompt, prompt_embeddings [N, d] (of a
// model with an encoder [2N, d]), or of a prefix, [N, 2·layers·H·hd], and of a
// classifier's head beside it. Of a prefix that a network makes the prefix is
// written, as PEFT does: the network itself is in the job's checkpoints alone.
func softAdapter(dir string, a AdapterInfo, tensors []safetensors.Tensor) (sum string, err error) {
	soft, head, err := a.split(tensors)
	if err != nil {
		return "", err
	}
	c, err := a.soft(soft)
	if err != nil {
		return "", err
	}
	if a.Spec.Method == "prefix" {
		return a.writePEFT(dir, a.prefix(c), append(head, soft))
	}
	return a.writePEFT(dir, a.prompt(c), append(head, soft))
}

// split returns the one tensor of a prompt or a prefix, and a classifier's head.
func (a AdapterInfo) split(tensors []safetensors.Tensor) (soft safetensors.Tensor, head []safetensors.Tensor, err error) {
	head, rest := headAfter(softPrefix, tensors)
	if err := checkHead(a.Spec.TaskType, head); err != nil {
		return soft, nil, err
	}
	if p := a.Spec.Prefix; p != nil && p.PrefixProjection {
		if rest, err = project(rest); err != nil {
			return soft, nil, err
		}
	}
	if len(rest) != 1 || rest[0].Name != promptKey || len(rest[0].Shape) != 2 {
		return soft, nil, fmt.Errorf("tensors %v; want %s alone, with two axes", names(rest), promptKey)
	}
	return rest[0], head, nil
}

// headAfter takes the tensors of a classifier's head, whose keys begin with prefix,
// out of an adapter's: modules whose names end as savedModules do.
func headAfter(prefix string, tensors []safetensors.Tensor) (head, rest []safetensors.Tensor) {
	for _, t := range tensors {
		name, ours := strings.CutPrefix(t.Name, prefix)
		module, _, _ := strings.Cut(name, ".")
		if ours && slices.ContainsFunc(savedModules, func(end string) bool { return strings.HasSuffix(module, end) }) {
			head = append(head, t)
		} else {
			rest = append(rest, t)
		}
	}
	return head, rest
}

func names(tensors []safetensors.Tensor) (names []string) {
	for _, t := range tensors {
		names = append(names, t.Name)
	}
	return names
}

// soft is what prompts and prefixes have in common. A prefix counts the heads that
// have keys and values.
func (a AdapterInfo) soft(t safetensors.Tensor) (c softConfig, err error) {
	c = softConfig{Base: a.Base, InferenceMode: true, Submodules: 1, TokenDim: t.Shape[1], TaskType: taskWord(a.Spec.TaskType)}
	if isHead(a.Spec.TaskType) {
		c.ModulesToSave = savedModules
	}
	if string(a.Model["is_encoder_decoder"]) == "true" {
		c.Submodules = 2
	}
	if c.Layers, err = a.number("num_hidden_layers", "num_layers", "n_layer", "n_layers"); err != nil {
		return c, err
	}
	if c.Heads, err = a.number("num_attention_heads", "n_head", "num_heads", "n_heads"); err != nil {
		return c, err
	}
	rows := 0
	if p := a.Spec.Prompt; a.Spec.Method == "prompt" && p != nil {
		c.PEFTType, c.Tokens, rows = "PROMPT_TUNING", p.NumVirtualTokens, p.NumVirtualTokens*c.Submodules
	}
	if p := a.Spec.Prefix; a.Spec.Method == "prefix" && p != nil {
		c.PEFTType, c.Tokens, rows = "PREFIX_TUNING", p.NumVirtualTokens, p.NumVirtualTokens
		c.TokenDim = t.Shape[1] / (2 * c.Layers)
		if a.Model["num_key_value_heads"] != nil {
			c.Heads, err = a.number("num_key_value_heads")
		}
	}
	if err == nil && (rows == 0 || t.Shape[0] != rows || a.Spec.Method == "prefix" && t.Shape[1]%(2*c.Layers*c.Heads) != 0) {
		err = fmt.Errorf("tensor %q has shape %v, which is not that of %d virtual tokens in %d layers of %d heads", t.Name, t.Shape, c.Tokens, c.Layers, c.Heads)
	}
	return c, err
}

// number returns a positive number of the base's configuration by the first of its
// names that is there: each family has its own.
func (a AdapterInfo) number(names ...string) (n int, err error) {
	for _, name := range names {
		if value, there := a.Model[name]; there && string(value) != "null" {
			if err := json.Unmarshal(value, &n); err != nil || n < 1 {
				return 0, fmt.Errorf("config.json: %s is %s; want a number above 0", name, value)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("config.json: there is no %s", names[0])
}

// taskWord is PEFT's word for a task; nil where it has none.
func taskWord(task string) *string {
	word, ok := map[string]string{"": causalLM, job.CausalLM: causalLM, job.Seq2SeqLM: seq2seqLM, job.SeqCls: seqCls, job.Regression: seqCls}[task]
	if !ok {
		return nil
	}
	return &word
}

// prompt is a prompt's configuration. Class labels are no beginning that PEFT knows.
func (a AdapterInfo) prompt(c softConfig) promptConfig {
	p := promptConfig{softConfig: c, Init: "RANDOM"}
	switch a.Spec.Prompt.PromptTuningInit {
	case "sample_vocab":
		p.Init = "SAMPLE_VOCAB"
	case "text":
		p.Init, p.InitText, p.Tokenizer = "TEXT", &a.Spec.Prompt.PromptTuningInitText, &a.Base
	}
	return p
}

// prefix is a prefix's configuration.
func (a AdapterInfo) prefix(c softConfig) prefixConfig {
	s := a.Spec.Prefix
	p := prefixConfig{softConfig: c, Hidden: cmp.Or(s.EncoderHiddenSize, c.TokenDim), Projection: s.PrefixProjection}
	if zero := "zero"; s.PrefixInit == zero {
		p.InitWeights = &zero
	}
	return p
}

// project returns the prefix that a network makes: tanh(E·W0ᵀ + b0)·W2ᵀ + b2.
func project(tensors []safetensors.Tensor) ([]safetensors.Tensor, error) {
	by := map[string]safetensors.Tensor{}
	for _, t := range tensors {
		by[strings.TrimPrefix(t.Name, "prompt_encoder.")] = t
	}
	x, w0, b0, w2, b2 := by["embedding.weight"], by["transform.0.weight"], by["transform.0.bias"], by["transform.2.weight"], by["transform.2.bias"]
	if len(tensors) != 5 || len(x.Shape) != 2 || len(w0.Shape) != 2 || len(w2.Shape) != 2 || w0.Shape[1] != x.Shape[1] ||
		w2.Shape[1] != w0.Shape[0] || len(b0.Data) != w0.Shape[0] || len(b2.Data) != w2.Shape[0] {
		return nil, fmt.Errorf("tensors %v are not the five of a prefix's network", names(tensors))
	}
	h := affine(x.Data, w0, b0)
	for i := range h {
		h[i] = float32(math.Tanh(float64(h[i])))
	}
	return []safetensors.Tensor{{Name: promptKey, Shape: []int{x.Shape[0], w2.Shape[0]}, Data: affine(h, w2, b2)}}, nil
}

// affine returns x·wᵀ + b for rows x, row by row.
func affine(x []float32, w, b safetensors.Tensor) (y []float32) {
	out, in := w.Shape[0], w.Shape[1]
	for ; len(x) > 0; x = x[in:] {
		for o := range out {
			sum := float64(b.Data[o])
			for i, v := range w.Data[o*in:][:in] {
				sum += float64(float64(v) * float64(x[i])) // rounded: the same on all machines
			}
			y = append(y, float32(sum))
		}
	}
	return y
}

// openSoft reads a PEFT directory of a prompt or a prefix. A prefix that a network
// made is one like others now.
func openSoft(dir string, config []byte) (AdapterInfo, []safetensors.Tensor, error) {
	info, rows, err := parseSoft(config)
	if err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	tensors, err := readPEFT(dir)
	if err != nil {
		return AdapterInfo{}, nil, err
	}
	if head, _ := headAfter(softPrefix, tensors); len(head) > 0 && isHead(info.Spec.TaskType) {
		info.Spec.TaskType, info.Spec.Labels, err = headTask(bare(head))
	}
	if err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterWeightsFile, err)
	}
	soft, _, err := info.split(tensors)
	if err == nil && soft.Shape[0] != rows {
		err = fmt.Errorf("tensor %q has %d rows; the configuration says %d", soft.Name, soft.Shape[0], rows)
	}
	if err != nil {
		return AdapterInfo{}, nil, fmt.Errorf("%s: %w", adapterWeightsFile, err)
	}
	return info, tensors, nil
}

// bare returns tensors without what their keys begin with.
func bare(tensors []safetensors.Tensor) (out []safetensors.Tensor) {
	for _, t := range tensors {
		t.Name = strings.TrimPrefix(t.Name, softPrefix)
		out = append(out, t)
	}
	return out
}

// parseSoft reads adapter_config.json of a prompt or a prefix, and tells how many
// rows its tensor has. How it began is of no use to what goes on from it.
func parseSoft(data []byte) (info AdapterInfo, rows int, err error) {
	var c softConfig
	if err := json.Unmarshal(data, &c); err != nil {
		return info, 0, err
	}
	c.Submodules = cmp.Or(c.Submodules, 1)
	switch {
	case c.Tokens < 1 || c.Submodules < 1 || c.Submodules > 2:
		return info, 0, fmt.Errorf("num_virtual_tokens is %d and num_transformer_submodules %d; want at least 1, and 1 or 2", c.Tokens, c.Submodules)
	case len(c.ModulesToSave) > 0 && (c.TaskType == nil || *c.TaskType != seqCls || !subset(c.ModulesToSave, savedModules)):
		return info, 0, fmt.Errorf("modules_to_save is %q, which is not built; a classifier's head is", c.ModulesToSave)
	}
	info = AdapterInfo{Base: c.Base, Spec: job.Spec{BaseModel: c.Base}}
	if info.Spec.TaskType, err = taskOf(c.TaskType); err != nil {
		return info, 0, err
	}
	if c.PEFTType == "PREFIX_TUNING" {
		info.Spec.Method, info.Spec.Prefix = "prefix", &job.Prefix{NumVirtualTokens: c.Tokens, PrefixInit: "zero"}
		return info, c.Tokens, nil
	}
	info.Spec.Method, info.Spec.Prompt = "prompt", &job.Prompt{NumVirtualTokens: c.Tokens, PromptTuningInit: "random"}
	return info, c.Tokens * c.Submodules, nil
}

// taskOf is our word for one of PEFT's tasks.
func taskOf(word *string) (string, error) {
	if word == nil {
		return "", nil
	}
	task, ok := map[string]string{causalLM: job.CausalLM, seq2seqLM: job.Seq2SeqLM, seqCls: job.SeqCls}[*word]
	if !ok {
		return "", fmt.Errorf("task_type is %q; built are %s, %s and %s", *word, causalLM, seqCls, seq2seqLM)
	}
	return task, nil
}
