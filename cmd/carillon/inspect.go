package main

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"carillon/inspect"
)

func inspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect DIR",
		Short: "Tells what an adapter's, a model's or a run's directory is",
		Long: `Tells what a directory is: an adapter of PEFT's, AdapterHub's or ours, a base model, a
classifier that method feature has fitted, or what a run has saved. It prints the
method, the base, the section that a recipe would have, the shapes of the weights
(those of all layers in one line), how many numbers they are, and the SHA-256 by
which exports, bases and init_from are known. What cannot be used here is told as far
as it can be read, with the reason.`,
		Example: `  carillon inspect out/demo/adapter`,
		Args:    arguments(1, 1, "a directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := inspect.Open(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
			}
			return printReport(cmd.OutOrStdout(), r)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with each tensor")
	return cmd
}

// printReport tells a report to people: a line for each thing that is known.
func printReport(out io.Writer, r inspect.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, a ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, a...)) }
	fmt.Fprintf(w, "%s\t%s\n", r.Kind, r.Dir)
	known := func(name, value string) {
		if value != "" {
			line(name, "%s", value)
		}
	}
	known("format", r.Format)
	known("method", r.Method)
	known("base", r.Base)
	known("task", r.Task)
	known("labels", strings.Join(r.Labels, ", "))
	known("section", compact(r.Section))
	known("family", r.Family)
	known("architecture", strings.Join(r.Architectures, ", "))
	if r.Width > 0 {
		line("shape", "%d layers of width %d, %d heads, %d tokens of context", r.Depth, r.Width, r.Heads, r.Context)
	}
	if r.Kind == inspect.Model {
		line("tokenizer", "%s", tokenizerOf(r))
	}
	if r.Parameters > 0 {
		line("numbers", "%d (%d tensors, %s, %.1f MB)", r.Parameters, len(r.Tensors), types(r.Tensors), float64(r.Bytes)/1e6)
	}
	known("sha256", r.SHA256)
	known("base sha256", r.BaseSHA256)
	known("init_sha256", r.InitSHA256)
	for _, j := range r.Jobs {
		line("job "+string(j.Job), "method %s on %s, %d numbers, step %d, digest %.16s, identity %.16s", j.Method, j.Base, j.Parameters, j.Step, j.Digest, j.Identity)
	}
	for _, t := range alike(r.Tensors) {
		line("", "%s", t)
	}
	known("problem", r.Problem)
	return w.Flush()
}

// compact is JSON without spaces.
func compact(text json.RawMessage) string {
	var keys map[string]any
	if json.Unmarshal(text, &keys) != nil {
		return ""
	}
	short, err := json.Marshal(keys)
	if err != nil {
		return ""
	}
	return string(short)
}

func tokenizerOf(r inspect.Report) string {
	switch {
	case r.Tokens == 0:
		return "none"
	case r.ChatTemplate:
		return fmt.Sprintf("%d tokens of the model's %d, with a chat template", r.Tokens, r.Vocab)
	}
	return fmt.Sprintf("%d tokens of the model's %d", r.Tokens, r.Vocab)
}

// types lists the types of tensors in the order in which they come.
func types(tensors []inspect.Tensor) string {
	var list []string
	seen := map[string]bool{}
	for _, t := range tensors {
		if !seen[t.Type] {
			list = append(list, t.Type)
		}
		seen[t.Type] = true
	}
	return strings.Join(list, " and ")
}

// layer is a name's part up to the number of a layer.
var layer = regexp.MustCompile(`^(.*?\.)\d+\.`)

// alike are the lines that list tensors: those that differ in the number of their
// layer alone are in one line.
func alike(tensors []inspect.Tensor) (lines []string) {
	count, first := map[string]int{}, []string{}
	for _, t := range tensors {
		line := fmt.Sprintf("%s %v %s", layer.ReplaceAllString(t.Name, "${1}*."), t.Shape, t.Type)
		if count[line]++; count[line] == 1 {
			first = append(first, line)
		}
	}
	for _, line := range first {
		if n := count[line]; n > 1 {
			line = fmt.Sprintf("%s, %d times", line, n)
		}
		lines = append(lines, line)
	}
	return lines
}
