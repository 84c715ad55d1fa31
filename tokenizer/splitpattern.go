package tokenizer

import "fmt"

const isolated = "Isolated"

// expressions are those that are cut by hand, many times faster than an
// expression is matched. All of them cover every text.
var expressions = map[string]splitter{
	`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`: gpt2,
	llamaStart + `\p{N}{1,3}` + llamaEnd:                                         func(text string) int { return llama(text, 3) },
	llamaStart + `\p{N}` + llamaEnd:                                              func(text string) int { return llama(text, 1) },
}

// Llama 3's expression, but for how many digits go together; Qwen2's takes each
// alone.
const (
	llamaStart = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|`
	llamaEnd   = `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// newSplit cuts where a pattern matches.
func newSplit(p *part) (step, error) {
	var o struct {
		Pattern  filePattern `json:"pattern"`
		Behavior string      `json:"behavior"`
		Invert   bool        `json:"invert"`
	}
	if err := p.read(&o); err != nil {
		return step{}, err
	}
	join, ok := behaviors[o.Behavior]
	if !ok {
		return step{}, p.wrong(fmt.Errorf("option \"behavior\" %q is not supported", o.Behavior))
	}
	if o.Pattern.Regex != nil && (o.Behavior == isolated || o.Behavior == "Removed" && o.Invert) {
		if next, ok := expressions[*o.Pattern.Regex]; ok {
			return step{next: next}, nil
		}
	}
	find, err := o.Pattern.finder()
	if err != nil {
		return step{}, p.wrong(err)
	}
	return step{all: func(text string) [][]int { return join(pieces(text, find(text), o.Invert)) }}, nil
}

// piece is a part of a text, which a pattern matches or not.
type piece struct {
	from, to int
	match    bool
}

// pieces returns a text as what a pattern matches and what lies between. invert
// takes the one for the other.
func pieces(text string, matches [][]int, invert bool) []piece {
	list := make([]piece, 0, 2*len(matches)+1)
	done := 0
	add := func(to int, match bool) {
		if to > done {
			list = append(list, piece{done, to, match != invert})
		}
		done = to
	}
	for _, m := range matches {
		add(m[0], false)
		add(m[1], true)
	}
	add(len(text), false)
	return list
}

// behaviors say what becomes of matches: a word of its own each, nothing, part
// of the word before or after, or one word for a run of them.
var behaviors = map[string]func([]piece) [][]int{
	isolated: func(list []piece) [][]int {
		return joinIf(list, func(_, _ piece) bool { return false })
	},
	"Removed": func(list []piece) (words [][]int) {
		for _, p := range list {
			if !p.match {
				words = append(words, []int{p.from, p.to})
			}
		}
		return words
	},
	"Contiguous": func(list []piece) [][]int {
		return joinIf(list, func(a, b piece) bool { return a.match == b.match })
	},
	"MergedWithPrevious": func(list []piece) [][]int {
		return joinIf(list, func(a, b piece) bool { return b.match && !a.match })
	},
	"MergedWithNext": func(list []piece) [][]int {
		return joinIf(list, func(a, b piece) bool { return a.match && !b.match })
	},
}

// joinIf makes words of pieces: one, or several of which each joins the one
// before it.
func joinIf(list []piece, joins func(a, b piece) bool) (words [][]int) {
	for i, p := range list {
		if i > 0 && joins(list[i-1], p) {
			words[len(words)-1][1] = p.to
		} else {
			words = append(words, []int{p.from, p.to})
		}
	}
	return words
}
