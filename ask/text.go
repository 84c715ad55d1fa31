package ask

import (
	"context"
	"errors"
	"fmt"

	"carillon/model"
	"carillon/shard"
)

// Text returns the loss on a text, in nats per token: the text is cut into rows of
// at most length tokens, whose first tokens are not asked for.
func (a *Asker) Text(ctx context.Context, text string, length int) (float64, error) {
	tokens := a.tok.Encode(text, nil)
	if len(tokens) < 2 {
		return 0, errors.New("a text of less than two tokens has no loss")
	}
	session, err := a.seated()
	if err != nil {
		return 0, err
	}
	length = min(length, session.Context(), len(tokens))
	sum, asked := 0.0, 0
	for from := 0; from+1 < len(tokens); from += length {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		row := tokens[from:min(from+length, len(tokens))]
		loss, _, err := session.Evaluate(rowOf(row, length))
		if err != nil {
			return 0, fmt.Errorf("loss on a text: %w", err)
		}
		sum += float64(loss)
		asked += len(row) - 1
	}
	return sum / float64(asked), nil
}

// rowOf is a batch of one row, padded to length.
func rowOf(tokens []int32, length int) model.Input {
	in := model.Input{Rows: 1, Len: length, Tokens: make([]int32, length), Labels: make([]int32, length), Mask: make([]int32, length)}
	for i := range length {
		in.Labels[i] = shard.Ignore
		if i < len(tokens) {
			in.Tokens[i], in.Labels[i], in.Mask[i] = tokens[i], tokens[i], 1
		}
	}
	return in
}
