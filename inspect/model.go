package inspect

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"carillon/job"
	"carillon/model"
	"carillon/tokenizer"
)

// tellModel tells what a model is: of a family that is not built, what its configuration
// and its files say.
func tellModel(ctx context.Context, r *Report) error {
	r.Kind = Model
	r.problem(r.weights())
	data, err := os.ReadFile(filepath.Join(r.Dir, "config.json"))
	if err != nil {
		return err
	}
	var keys struct {
		Type          string   `json:"model_type"`
		Architectures []string `json:"architectures"`
		Vocab         int      `json:"vocab_size"`
	}
	r.problem(json.Unmarshal(data, &keys))
	r.Family, r.Architectures, r.Vocab = keys.Type, keys.Architectures, keys.Vocab
	r.facts(ctx)
	r.tokenizer()
	return nil
}

// facts tells what the model's family makes of its configuration and tensors. A
// directory without weights is one to begin with random ones.
func (r *Report) facts(ctx context.Context) {
	spec := job.Spec{BaseModel: r.Dir, Method: "full", ReinitWeights: r.SHA256 == "" && r.Problem == "" && !r.pickled()}
	f, err := model.Inspect(ctx, spec)
	if err != nil {
		r.problem(err)
		return
	}
	r.Width, r.Depth, r.Heads, r.Context, r.Vocab = f.Width, f.Depth, f.Heads, f.Context, f.Vocab
	r.Parameters = f.Parameters
	if !spec.ReinitWeights {
		r.BaseSHA256 = hex.EncodeToString(f.Hash[:])
	}
}

// pickled says whether there are weights of PyTorch's own form.
func (r *Report) pickled() bool {
	files, err := filepath.Glob(filepath.Join(r.Dir, "*.bin"))
	return err == nil && len(files) > 0
}

// tokenizer tells of the tokenizer. A model may come without.
func (r *Report) tokenizer() {
	if !slices.ContainsFunc([]string{tokenizer.FileName, "tokenizer.model", "spiece.model"}, r.has) {
		return
	}
	tok, err := tokenizer.Open(r.Dir)
	if err != nil {
		r.problem(err)
		return
	}
	r.Tokens, r.ChatTemplate = tok.VocabSize(), tok.ChatTemplate() != ""
}

// has says whether the directory has a file of that name.
func (r *Report) has(name string) bool {
	_, err := os.Stat(filepath.Join(r.Dir, name))
	return err == nil
}
