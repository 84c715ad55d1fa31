package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"carillon/corpus"
	"carillon/job"
	"carillon/model"
	"carillon/tokenizer"
)

// previewFlags are the flags of preview.
type previewFlags struct {
	set   []string
	n     int
	color string
	json  bool
}

func previewCommand() *cobra.Command {
	var f previewFlags
	cmd := &cobra.Command{
		Use:   "preview RECIPE [-n NUMBER]",
		Short: "Prints examples as the model will see them, and a report of the data",
		Long: `Prints the first examples of a recipe as the model will see them: with the special
tokens that the tokenizer or the template adds, cut, packed and masked as the recipe
says. What is learnt is green on a terminal; elsewhere it stands between ⟦ and ⟧. ↵ is
a line break. The last one is held out, if anything is. A report of all the data follows.

Of the base model it needs config.json and the tokenizer, no weights.`,
		Example: `  carillon preview recipes/demo.yaml -n 3 --set sample_packing=true`,
		Args:    arguments(1, 1, "RECIPE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	cmd.Flags().IntVarP(&f.n, "number", "n", 5, "the `number` of examples")
	cmd.Flags().StringVar(&f.color, "color", "auto", "`when` to colour: auto, always or never")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	setFlag(cmd, &f.set)
	return cmd
}

func (f previewFlags) run(cmd *cobra.Command, recipe string) error {
	paint, err := f.paint(cmd)
	switch {
	case err != nil:
		return err
	case f.n < 1:
		return usage(cmd, "--number %d: want a number from 1", f.n)
	}
	spec, err := loadRecipe(recipe, f.set)
	if err != nil {
		return err
	}
	tok, limit, encoderDecoder, err := openBase(spec.BaseModel)
	if err != nil {
		return err
	}
	data, err := corpus.Load(cmd.Context(), spec, nil)
	if err != nil {
		return err
	}
	if spec, err = data.Resolve(spec, encoderDecoder); err != nil {
		return fmt.Errorf("%s: %w", recipe, err)
	}
	if err := model.Suits(spec); err != nil {
		return err
	}
	rows, report, err := data.Preview(cmd.Context(), spec, tok, limit, f.n)
	if err != nil {
		return err
	}
	if f.json {
		return previewJSON(cmd.OutOrStdout(), spec, rows, report)
	}
	return previewText(cmd.OutOrStdout(), paint, spec, rows, report)
}

// paint says how learnt text is marked.
func (f previewFlags) paint(cmd *cobra.Command) (palette, error) {
	out, isFile := cmd.OutOrStdout().(*os.File)
	terminal := isFile && term.IsTerminal(int(out.Fd())) && os.Getenv("NO_COLOR") == ""
	switch {
	case f.color == "always", f.color == "auto" && terminal:
		return coloured, nil
	case f.color == "never", f.color == "auto":
		return bracketed, nil
	}
	return palette{}, usage(cmd, "--color %s: want auto, always or never", f.color)
}

// openBase opens what a preview needs of a base model. limit is the longest
// sequence that it takes, 0 for no such limit.
func openBase(dir string) (tok *tokenizer.Tokenizer, limit int, encoderDecoder bool, err error) {
	if encoderDecoder, err = model.EncoderDecoder(dir); err != nil {
		return nil, 0, false, err
	}
	var c struct {
		Positions    int `json:"n_positions"`
		MaxPositions int `json:"max_position_embeddings"`
		Vocab        int `json:"vocab_size"`
	}
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, false, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, 0, false, model.ConfigError(path, err)
	}
	if tok, err = tokenizer.Open(dir); err != nil {
		return nil, 0, false, err
	}
	if c.Vocab > 0 && tok.VocabSize() > c.Vocab {
		return nil, 0, false, fmt.Errorf("%s: the tokenizer has %d tokens, and the model's vocab_size is %d", dir, tok.VocabSize(), c.Vocab)
	}
	if !encoderDecoder { // T5 has relative positions, and takes more than it says
		limit = cmp.Or(c.MaxPositions, c.Positions)
	}
	return tok, limit, encoderDecoder, nil
}

// previewText prints the rows and the report for people.
func previewText(w io.Writer, paint palette, spec job.Spec, rows []corpus.Shown, report corpus.Report) error {
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "%s\n%s\n", paint.head(fmt.Sprintf("%d. %s", i+1, rowHead(spec, row))), paint.row(spec, row))
	}
	_, err := fmt.Fprintf(w, "%s%s\n", b.String(), report)
	return err
}

// rowHead says what a row is and where it is from.
func rowHead(spec job.Spec, row corpus.Shown) string {
	from := row.From[0]
	if n := len(row.From); n > 1 {
		from = fmt.Sprintf("pack of %d examples", n)
	}
	if row.HeldOut {
		from += " (held out)"
	}
	return fmt.Sprintf("%s: %d tokens", from, len(row.Tokens)) + rowFacts(spec, row)
}

// rowFacts says what is learnt of a row.
func rowFacts(spec job.Spec, row corpus.Shown) string {
	switch spec.TaskType {
	case job.SeqCls:
		return fmt.Sprintf(", class %d, %q", row.Labels[0], row.Label)
	case job.Regression:
		return fmt.Sprintf(", value %g", float32(row.Value))
	case job.Seq2SeqLM:
		return fmt.Sprintf(", target of %d tokens", len(row.Labels))
	case job.MaskedLM:
		return fmt.Sprintf(", %d of them asked for", row.Learnt())
	}
	return fmt.Sprintf(", %d of them learnt", row.Learnt())
}

// previewJSON prints the rows and the report for programs.
func previewJSON(w io.Writer, spec job.Spec, rows []corpus.Shown, report corpus.Report) error {
	examples := make([]map[string]any, len(rows))
	for i, row := range rows {
		x := map[string]any{"from": row.From, "held_out": row.HeldOut, "tokens": row.Tokens, "parts": row.Parts}
		switch spec.TaskType {
		case job.SeqCls:
			x["class"], x["label"] = row.Labels[0], row.Label
		case job.Regression:
			x["value"] = row.Value
		case job.Seq2SeqLM, job.MaskedLM:
			x["target"], x["labels"] = row.Target, row.Labels
		default:
			x["labels"] = row.Labels
		}
		examples[i] = x
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(map[string]any{
		"task_type": spec.TaskType, "labels": spec.Labels, "class_weights": spec.ClassWeights, "examples": examples, "warnings": append([]string{}, report.Warnings()...),
		"training_examples": report.Examples, "held_out_examples": report.HeldOutExamples, "training_rows": report.Train, "held_out_rows": report.HeldOut,
		"tokens": report.Tokens, "learnt_tokens": report.Learnt, "dropped": report.Dropped, "truncated": report.Truncated,
		"duplicates": report.Duplicates, "overlap": report.Overlap, "fill": report.Fill(),
	})
}
