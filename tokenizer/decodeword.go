package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// metaspaceStep turns the mark of a space into a space, and drops every mark of
// the first piece if encoding puts one before a text.
type metaspaceStep struct {
	emit  func(string)
	mark  string
	space string // what a mark becomes: " ", or "" in the first piece
}

func newMetaspaceStep(p *part) (startDecoder, error) {
	o, err := p.metaspace()
	if err != nil {
		return nil, err
	}
	first := ""
	if o.PrependScheme == "never" {
		first = " "
	}
	return func(emit func(string)) decodeStep { return &metaspaceStep{emit, o.Replacement, first} }, nil
}

func (s *metaspaceStep) push(piece string) {
	s.emit(strings.ReplaceAll(piece, s.mark, s.space))
	s.space = " "
}

func (s *metaspaceStep) end() {}

// wordPieceStep joins pieces that start with the prefix to what stands before
// them, and puts a space before the others.
type wordPieceStep struct {
	emit    func(string)
	prefix  string
	cleanup bool
	started bool
}

func newWordPieceStep(p *part) (startDecoder, error) {
	o := struct {
		Prefix  string `json:"prefix"`
		Cleanup bool   `json:"cleanup"`
	}{"##", true}
	if err := p.read(&o); err != nil {
		return nil, err
	}
	return func(emit func(string)) decodeStep {
		return &wordPieceStep{emit: emit, prefix: o.Prefix, cleanup: o.Cleanup}
	}, nil
}

func (s *wordPieceStep) push(piece string) {
	if s.started {
		if rest, ok := strings.CutPrefix(piece, s.prefix); ok {
			piece = rest
		} else {
			piece = " " + piece
		}
	}
	s.started = true
	if s.cleanup {
		piece = tidyEnglish(piece)
	}
	s.emit(piece)
}

func (s *wordPieceStep) end() {}

// tidyEnglish takes the spaces away that stand before signs and endings in one
// piece, as the tokenizers library does: one rule after the other.
func tidyEnglish(piece string) string {
	for _, rule := range tidyRules {
		piece = strings.ReplaceAll(piece, rule[0], rule[1])
	}
	return piece
}

var tidyRules = [][2]string{
	{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
	{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
}

// suffixStep turns the mark of a word's end into a space, and into nothing at
// the end of the text. So it is a piece behind.
type suffixStep struct {
	emit   func(string)
	suffix string
	last   string
	have   bool
}

func newSuffixStep(p *part) (startDecoder, error) {
	o := struct {
		Suffix string `json:"suffix"`
	}{"</w>"}
	if err := p.read(&o); err != nil {
		return nil, err
	}
	return func(emit func(string)) decodeStep { return &suffixStep{emit: emit, suffix: o.Suffix} }, nil
}

func (s *suffixStep) push(piece string) {
	s.hand(" ")
	s.last, s.have = piece, true
}

func (s *suffixStep) end() { s.hand("") }

func (s *suffixStep) hand(space string) {
	if s.have {
		s.emit(strings.ReplaceAll(s.last, s.suffix, space))
	}
	s.have = false
}

// stripStep takes up to start of a rune from the front of a piece and up to
// stop from its back. A fused piece comes in parts, of which runes that may
// have to go are kept back.
type stripStep struct {
	emit        func(string)
	content     string // one rune
	start, stop int
	fused       bool

	front, held int // still to be taken from the front; kept back
}

func newStrip(p *part, fused bool) (startDecoder, error) {
	var o struct {
		Content string `json:"content"`
		Start   int    `json:"start"`
		Stop    int    `json:"stop"`
	}
	if err := p.read(&o); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(o.Content) != 1 || o.Start < 0 || o.Stop < 0 {
		return nil, fmt.Errorf(`decoder "Strip": content %q, start %d, stop %d: want one character, and counts from 0`, o.Content, o.Start, o.Stop)
	}
	return func(emit func(string)) decodeStep {
		return &stripStep{emit: emit, content: o.Content, start: o.Start, stop: o.Stop, fused: fused, front: o.Start}
	}, nil
}

func (s *stripStep) push(piece string) {
	for ; s.front > 0 && piece != ""; s.front-- {
		rest, ok := strings.CutPrefix(piece, s.content)
		if !ok {
			s.front = 0
			break
		}
		piece = rest
	}
	piece = strings.Repeat(s.content, s.held) + piece
	for s.held = 0; s.held < s.stop && strings.HasSuffix(piece, s.content); s.held++ {
		piece = piece[:len(piece)-len(s.content)]
	}
	s.emit(piece)
	if !s.fused {
		s.front, s.held = s.start, 0
	}
}

func (s *stripStep) end() {}
