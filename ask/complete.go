package ask

import (
	"context"
	"fmt"
	"strings"

	"carillon/job"
	"carillon/model"
)

// Writing says how texts are continued.
type Writing struct {
	MaxNew int      // the most tokens to add
	Stop   []string // what ends a text and is left out, besides the end of text
	model.Sampling
}

// Complete is Write by the likeliest token each time.
func (a *Asker) Complete(ctx context.Context, prompts []string, maxNew int) ([]string, error) {
	return a.Write(ctx, prompts, Writing{MaxNew: maxNew})
}

// Write continues each prompt until the end of text or one of w.Stop, and returns
// what was added. Prompts run in batches of 16, all padded alike, so that one
// program serves them; a context that ends while they run is noticed afterwards. A
// model that tells classes or numbers is refused.
func (a *Asker) Write(ctx context.Context, prompts []string, w Writing) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if task := a.session().Task(); task != job.CausalLM {
		return nil, fmt.Errorf("the model of %s is for task_type %s and does not go on with a text", a.dir, task)
	}
	ids := make([][]int32, len(prompts))
	for i, p := range prompts {
		ids[i] = a.tok.Encode(p, nil)
	}
	stop := int32(-1)
	if eos, ok := a.tok.EOS(); ok {
		stop = eos
	}
	writing := model.Writing{MaxNew: w.MaxNew, Stop: stop, Sampling: w.Sampling}
	if len(w.Stop) > 0 {
		writing.Ended = func(_ int, added []int32) bool {
			_, ended := before(a.tok.DecodeText(added), w.Stop)
			return ended
		}
	}
	session, err := a.seated()
	if err != nil {
		return nil, err
	}
	added, err := session.Write(ids, writing)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(added))
	for i, tokens := range added {
		texts[i], _ = before(a.tok.DecodeText(tokens), w.Stop)
	}
	return texts, ctx.Err()
}

// before returns what stands before the first of the stops in text.
func before(text string, stops []string) (rest string, found bool) {
	at := len(text)
	for _, stop := range stops {
		if i := strings.Index(text, stop); i >= 0 && i < at {
			at, found = i, true
		}
	}
	return text[:at], found
}
