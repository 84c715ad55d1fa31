package tokenizer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// step cuts a stretch of text into words, or each word of the step before.
type step struct {
	before func(text string, at edge) string // changes the stretch first; may be nil
	next   splitter                          // cuts off one word after the other
	all    func(text string) [][]int         // or cuts all at once: [from, to) of each word
}

// splitter returns the length in bytes of the first word of a text that is not
// empty, or minus the length of what no word has.
type splitter func(text string) int

// newSteps makes what a file's "pre_tokenizer" says for a kind of model. bytes
// says whether the words are then bytes: a last step ByteLevel does not write
// them in GPT-2's alphabet for BPE, which has them both ways.
func newSteps(p *part, model string) (steps []step, bytes bool, err error) {
	list, err := p.flat("pretokenizers")
	if err != nil {
		return nil, false, err
	}
	for i, p := range list {
		last := i == len(list)-1 && model == "BPE"
		if p.Type == byteLevel {
			s, err := newByteLevelSteps(p, last)
			if err != nil {
				return nil, false, err
			}
			steps, bytes = append(steps, s...), last
			continue
		}
		s, err := newStep(p)
		if err != nil {
			return nil, false, err
		}
		steps = append(steps, s)
	}
	return steps, bytes, nil
}

func newStep(p *part) (step, error) {
	switch p.Type {
	case "Split":
		return newSplit(p)
	case "BertPreTokenizer":
		return step{next: bertWord}, p.read(&struct{}{})
	case "Whitespace":
		return step{next: wordOrSigns}, p.read(&struct{}{})
	case "WhitespaceSplit":
		return step{next: untilSpace}, p.read(&struct{}{})
	case "Punctuation":
		return newPunctuation(p)
	case "Digits":
		return newDigits(p)
	case "Metaspace":
		return newMetaspace(p)
	}
	return step{}, p.refuse("ByteLevel, Split, BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation, Digits, Metaspace or a Sequence of them")
}

// newByteLevelSteps cuts by GPT-2's expression, unless the file says not to,
// and writes each word in the alphabet unless the step is the last one.
func newByteLevelSteps(p *part, last bool) ([]step, error) {
	var o struct {
		byteLevelOptions
		UseRegex *bool `json:"use_regex"`
	}
	if err := p.read(&o); err != nil {
		return nil, err
	}
	var s step
	if o.AddPrefixSpace {
		s.before = prefixSpace
	}
	s.next = whole
	if isTrue(o.UseRegex, true) {
		s.next = gpt2
	}
	steps := []step{s}
	if !last {
		steps = append(steps, step{next: whole, before: func(text string, _ edge) string { return toAlphabet(text) }})
	} else if !o.AddPrefixSpace && !isTrue(o.UseRegex, true) {
		return nil, nil
	}
	return steps, nil
}

// prefixSpace puts a space before text, unless there is one.
func prefixSpace(text string, at edge) string {
	if at == joined || strings.HasPrefix(text, " ") {
		return text
	}
	return " " + text
}

// newMetaspace writes spaces as a mark, puts one before the text, and cuts
// before each.
func newMetaspace(p *part) (step, error) {
	o, err := p.metaspace()
	if err != nil {
		return step{}, err
	}
	mark, scheme := o.Replacement, o.PrependScheme
	s := step{next: whole, before: func(text string, at edge) string {
		text = strings.ReplaceAll(text, " ", mark)
		if at == joined || scheme == "never" || scheme == "first" && at != front || strings.HasPrefix(text, mark) {
			return text
		}
		return mark + text
	}}
	if isTrue(o.Split, true) {
		s.next = func(text string) int {
			skip := 0
			if strings.HasPrefix(text, mark) {
				skip = len(mark)
			}
			if n := strings.Index(text[skip:], mark); n >= 0 {
				return skip + n
			}
			return len(text)
		}
	}
	return s, nil
}

// newDigits sets numbers apart, or each digit.
func newDigits(p *part) (step, error) {
	var o struct {
		Individual bool `json:"individual_digits"`
	}
	if err := p.read(&o); err != nil {
		return step{}, err
	}
	if o.Individual {
		return step{next: func(text string) int { return apart(text, isNumber) }}, nil
	}
	return step{next: func(text string) int { return alike(text, isNumber) }}, nil
}

// newPunctuation sets punctuation marks apart.
func newPunctuation(p *part) (step, error) {
	o := struct {
		Behavior string `json:"behavior"`
	}{isolated}
	if err := p.read(&o); err != nil {
		return step{}, err
	}
	if o.Behavior == isolated {
		return step{next: func(text string) int { return apart(text, isPunctuation) }}, nil
	}
	join, ok := behaviors[o.Behavior]
	if !ok {
		return step{}, p.wrong(fmt.Errorf("option \"behavior\" %q is not supported", o.Behavior))
	}
	return step{all: func(text string) [][]int { return join(pieces(text, each(text, isPunctuation), false)) }}, nil
}

// isPunctuation is punctuation, as of Unicode 8, and ASCII's other signs.
func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return ascii[r] == sign && ' ' < r && r < 0x7f
	}
	return isPunct8(r)
}

// each returns the place of every rune of a kind.
func each(text string, is func(rune) bool) (found [][]int) {
	for i, r := range text {
		if is(r) {
			found = append(found, []int{i, i + utf8.RuneLen(r)})
		}
	}
	return found
}

// apart returns the length of the first rune, if it is of a kind, or else of
// the runes before the first that is.
func apart(text string, is func(rune) bool) int {
	if r, n := utf8.DecodeRuneInString(text); is(r) {
		return n
	}
	if n := strings.IndexFunc(text, is); n >= 0 {
		return n
	}
	return len(text)
}

// alike returns the length of the runes at the start that are all of a kind, or
// all not.
func alike(text string, is func(rune) bool) int {
	if r, _ := utf8.DecodeRuneInString(text); !is(r) {
		return apart(text, is)
	}
	if n := strings.IndexFunc(text, func(r rune) bool { return !is(r) }); n >= 0 {
		return n
	}
	return len(text)
}

// untilSpace cuts at white space, and leaves it out.
func untilSpace(text string) int {
	n := alike(text, unicode.IsSpace)
	if r, _ := utf8.DecodeRuneInString(text); unicode.IsSpace(r) {
		return -n
	}
	return n
}

// bertWord cuts at white space, which it leaves out, and sets each punctuation
// mark apart.
func bertWord(text string) int {
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		switch {
		case unicode.IsSpace(r) && i == 0:
			return -size
		case isPunctuation(r) && i == 0:
			return size
		case unicode.IsSpace(r), isPunctuation(r):
			return i
		}
		i += size
	}
	return len(text)
}

// wordOrSigns cuts as \w+|[^\w\s]+ does, and leaves white space out.
func wordOrSigns(text string) int {
	r, _ := utf8.DecodeRuneInString(text)
	switch {
	case inWord(r):
		return alike(text, inWord)
	case unicode.IsSpace(r):
		return -alike(text, unicode.IsSpace)
	}
	return apart(text, func(r rune) bool { return inWord(r) || unicode.IsSpace(r) })
}
