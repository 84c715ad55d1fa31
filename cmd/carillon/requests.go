package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"carillon/ask"
	"carillon/corpus"
)

// request is what is asked, with what is printed of it.
type request struct {
	ask.Request
	line  string // where it stands, FILE:LINE; "" for the command line
	asked requestLine
}

// talks reports whether a request is a conversation.
func (r request) talks() bool { return r.Messages != nil }

// requestLine is a line of --prompts.
type requestLine struct {
	Prompt   *string   `json:"prompt,omitempty"`
	Messages []message `json:"messages,omitempty"`
	Adapter  string    `json:"adapter"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// requests reads what is asked: each prompt of the command line, or of standard
// input, of each adapter; or the lines of --prompts.
func (f generateFlags) requests(cmd *cobra.Command, prompts []string, adapters []ask.Adapter) ([]request, error) {
	if f.prompts != "" {
		return f.readRequests(cmd)
	}
	prompts, err := readPrompts(cmd, prompts)
	if err != nil {
		return nil, err
	}
	if len(adapters) == 0 {
		adapters = []ask.Adapter{{}}
	}
	var all []request
	for _, p := range prompts {
		for _, a := range adapters {
			r := request{asked: requestLine{Prompt: &p, Adapter: a.Name}}
			r.Request = f.ask(r.asked)
			all = append(all, r)
		}
	}
	return all, nil
}

// readPrompts returns the arguments, or standard input for a single -.
func readPrompts(cmd *cobra.Command, args []string) ([]string, error) {
	if len(args) != 1 || args[0] != "-" {
		return args, nil
	}
	text, err := io.ReadAll(cmd.InOrStdin())
	if err != nil {
		return nil, fmt.Errorf("read the prompt: %w", err)
	}
	return []string{string(text)}, nil
}

// readRequests reads the lines of --prompts, the empty ones of which say nothing.
func (f generateFlags) readRequests(cmd *cobra.Command) ([]request, error) {
	name, in := "standard input", cmd.InOrStdin()
	if f.prompts != "-" {
		file, err := os.Open(f.prompts)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		name, in = f.prompts, file
	}
	var all []request
	lines := bufio.NewReader(in)
	for n := 1; ; n++ {
		line, end := lines.ReadBytes('\n')
		if end != nil && !errors.Is(end, io.EOF) {
			return nil, fmt.Errorf("read %s: %w", name, end)
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			r := request{line: fmt.Sprintf("%s:%d", name, n)}
			if err := r.asked.read(line); err != nil {
				return nil, fmt.Errorf("%s: %w", r.line, err)
			}
			r.Request = f.ask(r.asked)
			all = append(all, r)
		}
		if end != nil {
			break
		}
	}
	if all == nil {
		return nil, fmt.Errorf("%s: there are no requests", name)
	}
	return all, nil
}

// read reads a line. A key that would change nothing is an error: it may be one that
// is written wrong.
func (r *requestLine) read(line []byte) error {
	const want = `want {"prompt": "…"} or {"messages": [{"role": "…", "content": "…"}]}, and "adapter" in it to name one`
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(line, &keys); err != nil {
		return fmt.Errorf("%w; %s", err, want)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains([]string{"prompt", "messages", "adapter"}, key) {
			return fmt.Errorf("key %q is unknown; %s", key, want)
		}
	}
	if err := json.Unmarshal(line, r); err != nil {
		return fmt.Errorf("%w; %s", err, want)
	}
	if (r.Prompt == nil) == (len(r.Messages) == 0) {
		return fmt.Errorf("there is not one of prompt and messages; %s", want)
	}
	for i, m := range r.Messages {
		if m.Role == "" {
			return fmt.Errorf("message %d has no role; want system, user or assistant", i+1)
		}
	}
	return nil
}

// ask makes a line what the model is asked.
func (f generateFlags) ask(r requestLine) ask.Request {
	if r.Prompt != nil && !f.chat {
		return ask.Request{Adapter: r.Adapter, Prompt: *r.Prompt}
	}
	messages := r.Messages
	if r.Prompt != nil {
		messages = []message{{"user", *r.Prompt}}
	}
	if f.system != "" && messages[0].Role != "system" {
		messages = slices.Insert(slices.Clone(messages), 0, message{"system", f.system})
	}
	all := make([]corpus.Message, len(messages))
	for i, m := range messages {
		all[i] = corpus.Message(m)
	}
	return ask.Request{Adapter: r.Adapter, Messages: all}
}

// placed says in which line a request is that is wrong.
func placed(err error, requests []request) error {
	var wrong *ask.PromptError
	if !errors.As(err, &wrong) || requests[wrong.Prompt].line == "" {
		return err
	}
	return fmt.Errorf("%s: the prompt %s", requests[wrong.Prompt].line, wrong.Reason)
}

// printAnswer prints an answer: as JSON, or as text, after the name of who gave it
// where each prompt of the command line is answered by several.
func (f generateFlags) printAnswer(w io.Writer, r request, a ask.Answer) error {
	if !f.json {
		var who string
		if r.line == "" && len(f.adapters) > 1 {
			who = a.Adapter + ": "
		}
		_, err := fmt.Fprintln(w, who+a.Text)
		return err
	}
	line := struct {
		requestLine
		Text   string `json:"text"`
		Tokens int    `json:"tokens"`
	}{r.asked, a.Text, a.Tokens}
	line.Adapter = a.Adapter
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(line)
}
