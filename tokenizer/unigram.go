package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"unicode/utf8"
)

// unigram is SentencePiece's Unigram model: of all ways to cut a word into
// pieces the one whose scores have the highest sum (Viterbi). A character that
// is no piece is unknown, at a price below every score; neighbouring unknowns
// are one token, or, with byte fallback, a token for each byte.
//
// Sums are taken from left to right in float64, and of equal ones the first
// found stays, as in the tokenizers library: near ties turn on it.
type unigram struct {
	pieces  *trie
	ids     map[string]int
	scores  []float64
	unknown int32
	price   float64 // of an unknown character
	bytes   []int32 // by byte, or none; nil without byte fallback
	paths   sync.Pool
}

// unknownPrice is how far the score of an unknown character lies below the
// lowest score of a piece.
const unknownPrice = 10

func newUnigram(f *fileModel) (model, error) {
	m := &unigram{pieces: newTrie(f.Vocab.ids), ids: f.Vocab.ids, price: math.Inf(1)}
	if f.UnkID == nil {
		return nil, errors.New("model.unk_id is missing: characters outside the vocabulary would have no id")
	}
	if id := *f.UnkID; id < 0 || id >= len(f.Vocab.pieces) {
		return nil, fmt.Errorf("model.unk_id %d: want the place of a piece, 0 to %d", id, len(f.Vocab.pieces)-1)
	}
	m.unknown = int32(*f.UnkID)
	for _, p := range f.Vocab.pieces {
		m.scores = append(m.scores, p.score)
		m.price = min(m.price, p.score)
	}
	m.price -= unknownPrice
	if f.ByteFallback {
		m.bytes = f.byteTokens()
	}
	return m, nil
}

// byteTokens returns the ids of the tokens "<0x00>" to "<0xFF>", none for those
// that are not there.
func (f *fileModel) byteTokens() []int32 {
	ids := make([]int32, 256)
	for c := range ids {
		ids[c] = none
		if id, ok := f.Vocab.ids[byteToken(c)]; ok {
			ids[c] = int32(id)
		}
	}
	return ids
}

// byteToken returns the name of a byte's token.
func byteToken(c int) string { return fmt.Sprintf("<0x%02X>", c) }

// stop is a place in a word, between two characters, and the best way there.
type stop struct {
	score float64
	from  int32 // where its last piece starts; none: no way yet
	to    int32 // where the next piece ends, once the whole path is known
	id    int32 // of its last piece
}

func (m *unigram) encode(word string, dst []int32) []int32 {
	path, _ := m.paths.Get().(*[]stop)
	if path == nil {
		path = new([]stop)
	}
	*path = slices.Grow((*path)[:0], len(word)+1)[:len(word)+1]
	m.search(word, *path)
	dst = m.follow(word, *path, dst)
	if len(*path) <= maxKept {
		m.paths.Put(path)
	}
	return dst
}

// search finds the best way to each place of the word.
func (m *unigram) search(word string, path []stop) {
	for i := range path {
		path[i].from = none
	}
	path[0].score = 0
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRuneInString(word[at:])
		known := false // the first character alone is a piece
		node := int32(0)
		for end := at; end < len(word); {
			if node = m.pieces.step(node, word[end]); node < 0 {
				break
			}
			end++
			if id := m.pieces.id[node]; id >= 0 {
				known = known || end-at == size
				path[end].offer(path[at].score+m.scores[id], at, id)
			}
		}
		if !known {
			path[at+size].offer(path[at].score+m.price, at, m.unknown)
		}
		at += size
	}
}

// offer is a way to get to a stop: the better of it and the one before stays.
func (s *stop) offer(score float64, from int, id int32) {
	if s.from < 0 || score > s.score {
		s.score, s.from, s.id = score, int32(from), id
	}
}

// follow appends the ids along the best way to the end of the word.
func (m *unigram) follow(word string, path []stop, dst []int32) []int32 {
	for at := int32(len(word)); at > 0; at = path[at].from {
		path[path[at].from].to = at
	}
	for at := int32(0); int(at) < len(word); {
		end := path[at].to
		if path[end].id != m.unknown {
			dst, at = append(dst, path[end].id), end
			continue
		}
		for int(end) < len(word) && path[path[end].to].id == m.unknown {
			end = path[end].to
		}
		dst, at = m.unknowns(word[at:end], dst), end
	}
	return dst
}

// unknowns appends the ids of a run of unknown characters. Together they may be
// a piece that scored lower than they did.
func (m *unigram) unknowns(text string, dst []int32) []int32 {
	if id, ok := m.ids[text]; ok {
		return append(dst, int32(id))
	}
	if m.bytes == nil {
		return append(dst, m.unknown)
	}
	from := len(dst)
	for i := range len(text) {
		id := m.bytes[text[i]]
		if id < 0 {
			return append(dst[:from], m.unknown)
		}
		dst = append(dst, id)
	}
	return dst
}
