package main

import (
	"regexp"
	"strings"

	"carillon/shard"
	"carillon/tokenizer"
)

// pair is a held-out declaration, with the sentence that its author wrote.
type pair struct{ prompt, completion string }

// heldOutPairs takes the first n held-out examples back to text.
func heldOutPairs(base string, set *shard.Set, n int) ([]pair, error) {
	tok, err := tokenizer.Open(base)
	if err != nil {
		return nil, err
	}
	var out []pair
	for i := range min(n, set.HeldOutLen()) {
		e := set.EvalExample(i)
		learnt := 0 // the first token that is learnt
		for learnt < len(e.Labels) && e.Labels[learnt] == shard.Ignore {
			learnt++
		}
		out = append(out, pair{tok.Decode(e.Tokens[:learnt]), tok.DecodeText(e.Tokens[learnt:])})
	}
	return out, nil
}

// declaration is the prompt without the begun comment.
func (p pair) declaration() string { return oneLine(strings.TrimSuffix(p.prompt, "\n//")) }

var declared = regexp.MustCompile(`^(?:func (?:\([^)]*\) )?|type )(\w+)`)

// name is what the declaration declares.
func (p pair) name() string {
	m := declared.FindStringSubmatch(p.prompt)
	if m == nil {
		return ""
	}
	return m[1]
}

// named counts the sentences that begin with the declared name.
func named(pairs []pair, sentences []string) (n int) {
	for i, p := range pairs {
		if first, _, _ := strings.Cut(strings.TrimSpace(sentences[i]), " "); first != "" && first == p.name() {
			n++
		}
	}
	return n
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
