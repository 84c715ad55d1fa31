package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// shown are the commands that documents and deployments show: what follows "carillon" up
// to what a shell, Markdown or a comment would end it at.
var shown = regexp.MustCompile("(?:^|[ /`(])carillon ([a-z][^`|>;#\\n]*)")

// another begins what follows another program's "carillon": a name of kubectl's or of a
// file.
var another = regexp.MustCompile(`^(create secret|s3:|gs:|features \d)`)

// argument begins an item of a container's args.
var argument = regexp.MustCompile(`^\s+- (coordinator|node|--[a-z-]+.*)$`)

// code says whether a line of Markdown is code.
func code(line string) bool { return strings.HasPrefix(line, "    ") }

// commandsOf lists the commands of a file.
func commandsOf(path, text string) (all []string) {
	inside := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := argument.FindStringSubmatch(line); m != nil && strings.HasSuffix(path, ".yaml") {
			if strings.HasPrefix(m[1], "--") {
				inside += " " + m[1]
			} else {
				inside = m[1]
			}
			continue
		} else if inside != "" {
			all, inside = append(all, inside), ""
		}
		spans := []string{line}
		if strings.HasSuffix(path, ".md") && !code(line) {
			spans = regexp.MustCompile("`[^`]+`").FindAllString(line, -1)
		} else if strings.HasPrefix(strings.TrimSpace(line), "#") && !strings.Contains(line, "carillon ca ") {
			continue // a comment in prose
		}
		for _, span := range spans {
			for _, m := range shown.FindAllStringSubmatch(span, -1) {
				all = append(all, m[1])
			}
		}
	}
	return all
}

// wrong says what a command has that the program has not.
func wrong(command string) string {
	var words []string
	for _, w := range strings.Fields(command) {
		if w == "&&" || w == "\\" || w == "&" || w == "…" {
			break
		}
		if words = append(words, strings.TrimRight(w, ".,:")); strings.HasSuffix(w, ".") {
			break // of a sentence
		}
	}
	if len(words) == 0 || words[0] == "help" || another.MatchString(command) {
		return ""
	}
	cmd, rest, err := root().Find(words)
	if err != nil || !cmd.HasParent() {
		return "there is no such verb"
	}
	if cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return "there is no verb " + rest[0] + " of " + cmd.Name()
	}
	for _, w := range rest {
		name, ok := strings.CutPrefix(w, "--")
		name, _, _ = strings.Cut(name, "=")
		if ok && !known(cmd, strings.Trim(name, "'\",.):]")) {
			return "there is no flag " + w
		}
	}
	return ""
}

func known(cmd *cobra.Command, flag string) bool {
	return cmd.Flags().Lookup(flag) != nil || cmd.InheritedFlags().Lookup(flag) != nil || flag == "help"
}

// Every command that a document or a deployment shows has verbs and flags that there are.
func TestCommandsThatAreShownExist(t *testing.T) {
	const top = "../.."
	found := 0
	for _, where := range []string{"README.md", "docs", "deploy"} {
		err := filepath.WalkDir(filepath.Join(top, where), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".json") || strings.HasSuffix(path, ".py") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, command := range commandsOf(path, string(text)) {
				found++
				if w := wrong(command); w != "" {
					t.Errorf("%s: carillon %s: %s", path, command, w)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 80 {
		t.Errorf("only %d commands were found", found)
	}
	for command, want := range map[string]string{
		"trian recipe.yaml": "no such verb", "ca isue x": "no verb isue", "node --tokenfile x": "no flag --tokenfile",
		"submit r.yaml --wait": "", "checkpoints list --run x": "", "ca token --ca ca --ttl 1h": "",
	} {
		if got := wrong(command); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("carillon %s: %q, want %q", command, got, want)
		}
	}
}
