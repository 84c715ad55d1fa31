package tokenizer

import (
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// spModel is a SentencePiece model file (tokenizer.model, spiece.model), as far
// as it is read. The file is a protobuf message of type ModelProto; the numbers
// of its fields are those of sentencepiece_model.proto.
type spModel struct {
	pieces     []spPiece // by id
	trainer    spTrainer
	normalizer spNormalizer
}

type spPiece struct {
	text  string
	score float32
	kind  uint64
}

// Kinds of pieces.
const (
	spNormal  = 1
	spUnknown = 2
	spControl = 3
	spUser    = 4
	spByte    = 6
)

type spTrainer struct {
	model        uint64 // spUnigram, spBPE, ...
	suffix       bool   // treat_whitespace_as_suffix
	byteFallback bool
	unk          int32
	bos          int32 // these three: -1 for none
	eos          int32
	pad          int32
}

// Kinds of models.
const (
	spUnigram = 1
	spBPE     = 2
)

var spModels = map[uint64]string{spUnigram: "unigram", spBPE: "BPE", 3: "word", 4: "char"}

type spNormalizer struct {
	charsmap []byte // precompiled_charsmap
	prefix   bool   // add_dummy_prefix
	extra    bool   // remove_extra_whitespaces
	escape   bool   // escape_whitespaces
}

// maxPiece bounds a piece, so that a damaged file does not take all time.
const maxPiece = 4096

// parseSP reads the content of a model file.
func parseSP(data []byte) (*spModel, error) {
	m := &spModel{
		trainer:    spTrainer{model: spUnigram, bos: 1, eos: 2, pad: none},
		normalizer: spNormalizer{prefix: true, extra: true, escape: true},
	}
	err := spFields(data, func(f spField) error {
		switch f.number {
		case 1:
			return m.addPiece(f)
		case 2:
			return spMessage("trainer_spec", f, m.trainer.read)
		case 3:
			return spMessage("normalizer_spec", f, m.normalizer.read)
		}
		return nil
	})
	if err == nil {
		err = m.check()
	}
	return m, err
}

func (m *spModel) addPiece(f spField) error {
	p := spPiece{kind: spNormal}
	err := spMessage(fmt.Sprintf("pieces[%d]", len(m.pieces)), f, func(f spField) error {
		switch f.number {
		case 1:
			p.text = string(f.bytes)
		case 2:
			p.score = math.Float32frombits(uint32(f.value))
		case 3:
			p.kind = f.value
		}
		return nil
	})
	m.pieces = append(m.pieces, p)
	return err
}

func (t *spTrainer) read(f spField) error {
	switch f.number {
	case 3:
		t.model = f.value
	case 24:
		t.suffix = f.value != 0
	case 35:
		t.byteFallback = f.value != 0
	case 40:
		t.unk = int32(f.value)
	case 41:
		t.bos = int32(f.value)
	case 42:
		t.eos = int32(f.value)
	case 43:
		t.pad = int32(f.value)
	}
	return nil
}

func (n *spNormalizer) read(f spField) error {
	switch f.number {
	case 2:
		n.charsmap = f.bytes
	case 3:
		n.prefix = f.value != 0
	case 4:
		n.extra = f.value != 0
	case 5:
		n.escape = f.value != 0
	}
	return nil
}

// check returns an error that names the first thing that is wrong with a file
// that could be read.
func (m *spModel) check() error {
	if m.trainer.model != spUnigram && m.trainer.model != spBPE {
		return fmt.Errorf("trainer_spec.model_type %d (%s) is not supported: want unigram or BPE", m.trainer.model, spModels[m.trainer.model])
	}
	if len(m.pieces) == 0 || len(m.pieces) > maxVocab {
		return fmt.Errorf("it has %d pieces, want 1 to %d: is it a SentencePiece model?", len(m.pieces), maxVocab)
	}
	seen := make(map[string]int, len(m.pieces))
	for id, p := range m.pieces {
		if err := p.check(); err != nil {
			return fmt.Errorf("pieces[%d]: %w", id, err)
		}
		if have, ok := seen[p.text]; ok {
			return fmt.Errorf("pieces[%d]: %q is pieces[%d] already", id, p.text, have)
		}
		seen[p.text] = id
	}
	if u := m.trainer.unk; u < 0 || int(u) >= len(m.pieces) || m.pieces[u].kind != spUnknown {
		return fmt.Errorf("trainer_spec.unk_id %d: want the id of a piece of type unknown", u)
	}
	return nil
}

func (p spPiece) check() error {
	switch {
	case p.text == "" || len(p.text) > maxPiece || !utf8.ValidString(p.text):
		return fmt.Errorf("piece %.40q: want 1 to %d bytes of UTF-8", p.text, maxPiece)
	case math.IsNaN(float64(p.score)) || math.IsInf(float64(p.score), 0):
		return fmt.Errorf("%q has score %v, want a number", p.text, p.score)
	case p.kind < spNormal || p.kind > spUser && p.kind != spByte:
		return fmt.Errorf("%q: type %d is not supported: want normal, unknown, control, user-defined or byte", p.text, p.kind)
	}
	return nil
}

// spField is a field of a protobuf message.
type spField struct {
	number protowire.Number
	value  uint64 // of a number; a float32's bits
	bytes  []byte // of a string or a message
}

// spMessage reads a message inside another; its errors say in which field.
func spMessage(name string, f spField, do func(spField) error) error {
	if f.bytes == nil {
		return fmt.Errorf("%s: want a message", name)
	}
	if err := spFields(f.bytes, do); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// spFields calls do with each field of a message, in the order of the file.
func spFields(data []byte, do func(spField) error) error {
	for at := 0; at < len(data); {
		number, kind, n := protowire.ConsumeTag(data[at:])
		if n < 0 {
			return broken(at, n)
		}
		at += n
		f, n := spValue(number, kind, data[at:])
		if n < 0 {
			return broken(at, n)
		}
		at += n
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}

// spValue reads a field's value and its length, which is negative for an error.
func spValue(number protowire.Number, kind protowire.Type, data []byte) (f spField, n int) {
	f.number = number
	var word uint32
	switch kind {
	case protowire.VarintType:
		f.value, n = protowire.ConsumeVarint(data)
	case protowire.Fixed32Type:
		word, n = protowire.ConsumeFixed32(data)
		f.value = uint64(word)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(data)
	default: // nothing that is read here
		n = protowire.ConsumeFieldValue(number, kind, data)
	}
	return f, n
}

func broken(at, n int) error {
	return fmt.Errorf("byte %d: %w: cut short, or no SentencePiece model", at, protowire.ParseError(n))
}
