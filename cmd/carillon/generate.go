package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"carillon/ask"
	"carillon/feature"
	"carillon/job"
)

// generateFlags are the flags of generate.
type generateFlags struct {
	base, backend, prompts, system string
	adapters                       []string
	chat, stream, json             bool
	talk                           ask.Talk
	ask.Writing
}

func generateCommand() *cobra.Command {
	var f generateFlags
	cmd := &cobra.Command{
		Use:   "generate [--base DIR] [--adapter DIR] PROMPT... | - | --prompts FILE",
		Short: "Continues each prompt",
		Long: `Continues each prompt until the end of text, one of --stop, or for --max-new-tokens,
and prints what was added, one prompt after the other: always by the likeliest token,
or with a --temperature by drawing, the same for the same --seed. With - the
prompt is all of standard input. A model with an encoder and a decoder (T5) answers
the prompt instead, with the likeliest of --num-beams texts. The base model of an
adapter is where the adapter says, unless --base says otherwise.

Several adapters of one base model, of any methods, are asked over one copy of it:
--adapter NAME=DIR for each. Each prompt is then answered by each; or --prompts
names a file (- is standard input) with one request a line, and who is asked:

  {"prompt": "the bell", "adapter": "NAME"}
  {"messages": [{"role": "user", "content": "Hello"}], "adapter": "base"}

Without "adapter", and with "base", it is the base model alone (without "adapter" the
one that --adapter gives no name, if there is one). All requests are read first, and
the answers printed in their order; with --json each is a line of JSON.

With --chat a prompt is what a user says, written as the base model's chat template
writes it, and the answer is the assistant's turn. To a terminal the answer to a
single prompt is printed while it is drawn.`,
		Example: `  carillon generate --base demo/base --adapter out/demo/adapter 'func Itoa(i int) string'
  carillon generate --adapter fr=out/fr/adapter --adapter de=out/de/adapter --prompts requests.jsonl --json`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	cmd.Flags().StringVar(&f.base, "base", "", "the model's `directory`, as Hugging Face lays it out")
	adapterFlag(cmd, &f.adapters, "")
	cmd.Flags().StringVar(&f.prompts, "prompts", "", "a `file` of requests, one JSON object a line; - is standard input")
	cmd.Flags().BoolVar(&f.chat, "chat", false, "prompts are what a user says; answer as the assistant")
	cmd.Flags().StringVar(&f.system, "system", "", "with --chat: the `text` of a system message before it")
	cmd.Flags().StringVar(&f.talk.Template, "chat-template", "", "with --chat: a `template` instead of the base model's, as in a recipe's chat_template")
	cmd.Flags().BoolVar(&f.stream, "stream", false, "print the answer while it is drawn (default to a terminal, for one prompt)")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object a line for each answer")
	f.drawing(cmd)
	backendFlag(cmd, &f.backend)
	return cmd
}

// drawing adds the flags that say how tokens are drawn.
func (f *generateFlags) drawing(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.MaxNew, "max-new-tokens", 64, "the most `tokens` to add")
	cmd.Flags().Float64Var(&f.Temperature, "temperature", 0, "draw, with logits divided by it; 0 takes the likeliest token")
	cmd.Flags().IntVar(&f.TopK, "top-k", 0, "draw among the so many likeliest tokens; 0: all")
	cmd.Flags().Float64Var(&f.TopP, "top-p", 0, "draw among the likeliest tokens that together have this probability; 0: all")
	cmd.Flags().Float64Var(&f.RepetitionPenalty, "repetition-penalty", 1, "make tokens that are in the text already less likely")
	cmd.Flags().Uint64Var(&f.Seed, "seed", 42, "what is drawn by")
	cmd.Flags().IntVar(&f.NumBeams, "num-beams", 1, "the `number` of texts that are kept at a time; the likeliest as a whole is the answer")
	cmd.Flags().Float64Var(&f.LengthPenalty, "length-penalty", 1, "of beams: above 0 longer texts stand a better chance")
	cmd.Flags().StringVar(&f.EarlyStopping, "early-stopping", "false", "of beams: `when` complete ones are enough, as transformers has it: true, false or never")
	cmd.Flags().StringArrayVar(&f.Stop, "stop", nil, "a `text` that ends what is added, and is left out; may be given several times")
}

func (f generateFlags) run(cmd *cobra.Command, prompts []string) error {
	adapters, err := adaptersOf(cmd, f.adapters)
	if err != nil {
		return err
	}
	if err := f.check(cmd, prompts, adapters); err != nil {
		return err
	}
	requests, err := f.requests(cmd, prompts, adapters)
	if err != nil {
		return err
	}
	stream, err := f.streams(cmd, len(requests))
	if err != nil {
		return err
	}
	if f.system+f.talk.Template != "" && !slices.ContainsFunc(requests, request.talks) {
		return usage(cmd, "--system and --chat-template are for conversations, and there is none: want --chat")
	}
	be, err := openBackend(cmd, f.backend, 0)
	if err != nil {
		return err
	}
	defer be.Close()
	s, err := ask.OpenSeveral(cmd.Context(), be, f.base, adapters, job.Spec{})
	if err != nil {
		return err
	}
	defer s.Close()
	if stream {
		return f.print(cmd, s, requests[0])
	}
	return f.answer(cmd, s, requests)
}

// check says what is wrong with the command line.
func (f generateFlags) check(cmd *cobra.Command, prompts []string, adapters []ask.Adapter) error {
	switch {
	case len(prompts) == 0 && f.prompts == "":
		return usage(cmd, "a prompt is missing; - reads it from standard input, --prompts several from a file")
	case len(prompts) > 0 && f.prompts != "":
		return usage(cmd, "there are prompts both on the command line and in --prompts %s; want one of the two", f.prompts)
	case f.base == "" && len(adapters) == 0:
		return usage(cmd, "--base or --adapter is missing: which model?")
	case f.MaxNew < 1:
		return usage(cmd, "--max-new-tokens %d: want 1 or more", f.MaxNew)
	case f.NumBeams < 1:
		return usage(cmd, "--num-beams %d: want 1 or more", f.NumBeams)
	case slices.Contains(f.Stop, ""):
		return usage(cmd, "--stop is empty: want some text")
	}
	if err := f.Check(); err != nil {
		return usage(cmd, "%v", err)
	}
	return speaks(adapters)
}

// speaks says which of the adapters does not change what a model says.
func speaks(adapters []ask.Adapter) error {
	for _, a := range adapters {
		if feature.Is(a.Dir) {
			return fmt.Errorf("adapter %s: method feature made it, and what it made reads texts and writes none; carillon eval asks it", a.Dir)
		}
	}
	return nil
}

// streams reports whether the answer is printed while it is drawn.
func (f generateFlags) streams(cmd *cobra.Command, requests int) (bool, error) {
	if !cmd.Flags().Changed("stream") {
		out, isFile := cmd.OutOrStdout().(*os.File)
		return isFile && term.IsTerminal(int(out.Fd())) && requests == 1 && !f.json, nil
	}
	switch {
	case f.stream && requests != 1:
		return false, usage(cmd, "--stream: there are %d answers to print; want one prompt, and one adapter", requests)
	case f.stream && f.json:
		return false, usage(cmd, "--stream and --json: a line of JSON is printed when it is whole; want one of the two")
	}
	return f.stream, nil
}

// print prints the answer to one request while it is drawn.
func (f generateFlags) print(cmd *cobra.Command, s *ask.Several, r request) error {
	out, said := cmd.OutOrStdout(), false
	f.Said = func(_ int, text string) {
		io.WriteString(out, text) // the end of the line tells whether it can be
		said = true
	}
	_, err := s.Answer(cmd.Context(), []ask.Request{r.Request}, f.talk, f.Writing)
	if err != nil && !said {
		return placed(err, []request{r})
	}
	_, end := fmt.Fprintln(out)
	return errors.Join(placed(err, []request{r}), end)
}

// answer prints the answers to requests, in their order.
func (f generateFlags) answer(cmd *cobra.Command, s *ask.Several, requests []request) error {
	all := make([]ask.Request, len(requests))
	for i, r := range requests {
		all[i] = r.Request
	}
	answers, err := s.Answer(cmd.Context(), all, f.talk, f.Writing)
	if err != nil {
		return placed(err, requests)
	}
	for i, a := range answers {
		if err := f.printAnswer(cmd.OutOrStdout(), requests[i], a); err != nil {
			return err
		}
	}
	return nil
}
