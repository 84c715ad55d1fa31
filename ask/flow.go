package ask

import (
	"strings"

	"carillon/tokenizer"
)

// flow is a text while it is drawn, token by token: what it gives out, put together,
// is the text before the first of the stops. It never gives out half a character,
// nor what may turn out to be a stop's beginning.
type flow struct {
	stream *tokenizer.Stream
	stops  []string
	said   func(text string) // hears what is given out
	held   string            // decoded, not given out
	text   strings.Builder   // given out
	tokens int               // that have come
	ended  bool              // by a stop
}

// push takes the next token.
func (f *flow) push(token int32) {
	f.tokens++
	f.take(f.stream.Push(token))
}

// take takes text, and gives out what is settled with it.
func (f *flow) take(text string) {
	if f.ended {
		return
	}
	f.held += text
	settled, found := before(f.held, f.stops)
	f.ended = found
	if !found {
		settled = f.held[:len(f.held)-f.beginning()]
	}
	f.give(settled)
}

// beginning returns the length of the longest end of what is held with which a stop
// begins.
func (f *flow) beginning() (n int) {
	for _, stop := range f.stops {
		for k := min(len(stop)-1, len(f.held)); k > n; k-- {
			if strings.HasSuffix(f.held, stop[:k]) {
				n = k
			}
		}
	}
	return n
}

// give gives out what is held up to the end of text, which it begins with.
func (f *flow) give(text string) {
	f.held = f.held[len(text):]
	f.text.WriteString(text)
	if text != "" && f.said != nil {
		f.said(text)
	}
}

// finish gives out what is left, and returns the whole.
func (f *flow) finish() string {
	f.take(f.stream.Flush())
	if !f.ended {
		f.give(f.held)
	}
	return f.text.String()
}

// before returns what stands before the first of the stops in text.
func before(text string, stops []string) (rest string, found bool) {
	at := len(text)
	for _, stop := range stops {
		if i := strings.Index(text, stop); i >= 0 && i < at {
			at, found = i, true
		}
	}
	return text[:at], found
}
