package tokenizer

import "unicode/utf8"

// Stream turns ids into text while they are generated: what it has given out,
// put together, is DecodeText of all ids. It never gives out half a character,
// nor text that a later id can still change; it holds that back until it is
// settled, so an id may give no text and the next one more. A Stream is used by
// one goroutine.
type Stream struct {
	t       *Tokenizer
	decoder decodeStep
	text    []byte // decoded, not given out
}

// Stream begins a text.
func (t *Tokenizer) Stream() *Stream {
	s := &Stream{t: t}
	s.begin()
	return s
}

func (s *Stream) begin() {
	s.decoder = s.t.start(func(text string) { s.text = append(s.text, text...) })
}

// Push takes the next id and returns the text that is settled with it. Special
// tokens and ids outside the vocabulary stand for nothing.
func (s *Stream) Push(id int32) string {
	if piece, ok := s.t.piece(id, true); ok {
		s.decoder.push(piece)
	}
	return s.give(len(s.text) - halfCharacter(s.text))
}

// Flush ends the text and returns what is left of it: that may be bytes of a
// character which the ids do not complete. The Stream then begins a new text.
func (s *Stream) Flush() string {
	s.decoder.end()
	text := s.give(len(s.text))
	s.begin()
	return text
}

// give returns the first n bytes of what is held.
func (s *Stream) give(n int) string {
	text := string(s.text[:n])
	s.text = append(s.text[:0], s.text[n:]...)
	return text
}

// halfCharacter returns how many bytes at the end of text begin a character
// that is not complete: 0 to 3.
func halfCharacter(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if end := text[len(text)-n:]; utf8.RuneStart(end[0]) {
			if utf8.FullRune(end) {
				return 0
			}
			return n
		}
	}
	return 0
}
