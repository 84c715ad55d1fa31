package ask

import (
	"context"
	"fmt"

	"carillon/job"
)

// Complete continues each prompt greedily by at most maxNew tokens, until the end
// of text, and returns what was added. Prompts run in batches of 16, all padded
// alike, so that one program serves them; a context that ends while they run is
// noticed afterwards. A model that tells classes or numbers is refused.
func (a *Asker) Complete(ctx context.Context, prompts []string, maxNew int) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if task := a.session.Task(); task != job.CausalLM {
		return nil, fmt.Errorf("the model of %s is for task_type %s and does not go on with a text", a.base, task)
	}
	ids := make([][]int32, len(prompts))
	for i, p := range prompts {
		ids[i] = a.tok.Encode(p, nil)
	}
	stop := int32(-1)
	if eos, ok := a.tok.EOS(); ok {
		stop = eos
	}
	added, err := a.session.Generate(ids, maxNew, stop)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(added))
	for i, tokens := range added {
		texts[i] = a.tok.DecodeText(tokens)
	}
	return texts, ctx.Err()
}
