package tokenizer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// decodeStep is one step from pieces to text, at work on one text: it hands
// what it makes of each piece to the function that it was started with. Decode
// and Stream are both made of steps, so that they cannot differ.
type decodeStep interface {
	push(piece string)
	end() // no piece follows
}

// startDecoder starts a decoder for one text.
type startDecoder func(emit func(string)) decodeStep

// newDecoder makes what a file's "decoder" says. Without one, pieces are words
// with spaces between. A ByteLevel decoder that stands alone gets bytes, not
// GPT-2's alphabet, and passes them on.
func newDecoder(p *part) (startDecoder, error) {
	if p == nil {
		return func(emit func(string)) decodeStep { return &spacedStep{emit: emit} }, nil
	}
	if p.Type == byteLevel {
		return passOn, p.read(&byteLevelOptions{})
	}
	list, err := p.flat("decoders")
	if err != nil {
		return nil, err
	}
	starts, fused := []startDecoder{passOn}, false
	for _, p := range list {
		start, err := newDecodeStep(p, fused)
		if err != nil {
			return nil, err
		}
		starts = append(starts, start)
		fused = fused || p.Type == "Fuse" || p.Type == byteLevel
	}
	return inARow(starts), nil
}

// passOn is a step that changes nothing.
func passOn(emit func(string)) decodeStep { return mapStep{emit, unchanged} }

// inARow hands what each step makes to the next.
func inARow(starts []startDecoder) startDecoder {
	return func(emit func(string)) decodeStep {
		row := make(stepsInARow, len(starts))
		for i := len(starts) - 1; i >= 0; i-- {
			row[i] = starts[i](emit)
			emit = row[i].push
		}
		return row
	}
}

type stepsInARow []decodeStep

func (r stepsInARow) push(piece string) { r[0].push(piece) }

func (r stepsInARow) end() {
	for _, s := range r {
		s.end()
	}
}

// newDecodeStep makes one step. After Fuse there is a single piece, which comes
// in parts: only what can work on parts may follow.
func newDecodeStep(p *part, fused bool) (startDecoder, error) {
	switch {
	case p.Type == "Strip":
		return newStrip(p, fused)
	case p.Type == "Fuse":
		return passOn, p.read(&struct{}{})
	case fused:
		return nil, p.refuse("nothing but Strip and Fuse after Fuse or ByteLevel")
	}
	switch p.Type {
	case byteLevel:
		return mapped(p, &byteLevelOptions{}, func() (func(string) string, error) { return bytesOfPiece, nil })
	case "Replace":
		var o replaceOptions
		return mapped(p, &o, func() (func(string) string, error) { return newReplacer(o.Pattern, o.Content) })
	case "ByteFallback":
		return func(emit func(string)) decodeStep { return &byteFallbackStep{emit: emit} }, p.read(&struct{}{})
	case "Metaspace":
		return newMetaspaceStep(p)
	case "WordPiece":
		return newWordPieceStep(p)
	case "BPEDecoder":
		return newSuffixStep(p)
	}
	return nil, p.refuse("ByteLevel, WordPiece, Metaspace, BPEDecoder, Replace, ByteFallback, Fuse, Strip or a Sequence of them")
}

// mapStep changes each piece by itself.
type mapStep struct {
	emit   func(string)
	change func(string) string
}

func (s mapStep) push(piece string) { s.emit(s.change(piece)) }
func (s mapStep) end()              {}

func unchanged(piece string) string { return piece }

// mapped reads a part's options and makes a mapStep with what change returns.
func mapped(p *part, options any, change func() (func(string) string, error)) (startDecoder, error) {
	if err := p.read(options); err != nil {
		return nil, err
	}
	f, err := change()
	if err != nil {
		return nil, err
	}
	return func(emit func(string)) decodeStep { return mapStep{emit, f} }, nil
}

// bytesOfPiece reads GPT-2's alphabet; a piece that has other runes stays.
func bytesOfPiece(piece string) string {
	if text, err := fromAlphabet(piece); err == nil {
		return text
	}
	return piece
}

// spacedStep puts a space between pieces.
type spacedStep struct {
	emit    func(string)
	started bool
}

func (s *spacedStep) push(piece string) {
	if s.started {
		piece = " " + piece
	}
	s.started = true
	s.emit(piece)
}

func (s *spacedStep) end() {}

// byteFallbackStep turns runs of <0x..> into the text whose bytes they are; a
// run that is not UTF-8 becomes one U+FFFD for each byte. So a run is known only
// when it has ended.
type byteFallbackStep struct {
	emit func(string)
	run  []byte
}

func (s *byteFallbackStep) push(piece string) {
	if c, ok := byteOfToken(piece); ok {
		s.run = append(s.run, c)
		return
	}
	s.end()
	s.emit(piece)
}

func (s *byteFallbackStep) end() {
	switch {
	case len(s.run) == 0:
		return
	case utf8.Valid(s.run):
		s.emit(string(s.run))
	default:
		s.emit(strings.Repeat("\uFFFD", len(s.run)))
	}
	s.run = s.run[:0]
}

// byteOfToken reads "<0x0A>".
func byteOfToken(piece string) (byte, bool) {
	if len(piece) != 6 || piece[:3] != "<0x" || piece[5] != '>' {
		return 0, false
	}
	c, err := strconv.ParseUint(piece[3:5], 16, 8)
	return byte(c), err == nil
}
