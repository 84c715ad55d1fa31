package main

import (
	"fmt"
	"strings"

	"carillon/corpus"
	"carillon/job"
)

// palette is how a preview marks what is learnt, what is not, and special tokens
// of either: before and after each stretch. Text of which nothing is learnt by
// the token is plain.
type palette struct {
	learnt, other, special, heading [2]string
}

// coloured is for terminals: green, dim, reverse and bold.
var coloured = palette{
	learnt:  [2]string{"\x1b[32m", "\x1b[0m"},
	other:   [2]string{"\x1b[2m", "\x1b[0m"},
	special: [2]string{"\x1b[7m", "\x1b[27m"},
	heading: [2]string{"\x1b[1m", "\x1b[0m"},
}

// bracketed is for everything else.
var bracketed = palette{learnt: [2]string{"⟦", "⟧"}}

func (p palette) head(text string) string { return p.heading[0] + text + p.heading[1] }

// row prints the parts of a row, each with its name where there are several.
func (p palette) row(spec job.Spec, row corpus.Shown) string {
	var b strings.Builder
	for i, part := range row.Parts {
		switch {
		case len(row.From) > 1:
			fmt.Fprintln(&b, p.head(fmt.Sprintf("part %d, %s", i+1, row.From[i])))
		case len(row.Parts) > 1:
			fmt.Fprintln(&b, p.head(fmt.Sprintf("text %d", i+1)))
		}
		b.WriteString(p.part(part, spec.TaskType == job.CausalLM || spec.TaskType == job.MaskedLM))
	}
	if row.Target != nil {
		name := "target"
		if spec.TaskType == job.MaskedLM {
			name = "the text itself"
		}
		fmt.Fprintf(&b, "%s\n%s", p.head(name), p.part(row.Target, true))
	}
	return b.String()
}

// part prints a text. marked: some of it may be learnt, token by token. Learnt
// stretches that touch, special or not, are marked as one.
func (p palette) part(part corpus.Part, marked bool) string {
	var b strings.Builder
	for i := 0; i < len(part); {
		mark := p.other
		if part[i].Learnt {
			mark = p.learnt
		}
		if !marked {
			mark = [2]string{}
		}
		b.WriteString(mark[0])
		for learnt := part[i].Learnt; i < len(part) && part[i].Learnt == learnt; i++ {
			text := visible(part[i].Text)
			if part[i].Special {
				text = p.special[0] + text + p.special[1]
			}
			b.WriteString(text)
		}
		b.WriteString(mark[1])
	}
	return b.String() + "\n"
}

// visible shows line breaks, and control characters, which a terminal would obey.
func visible(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return '␀' + r
		}
		return r
	}, text)
	return strings.ReplaceAll(text, "\n", "↵\n")
}
