package train

import (
	"encoding/binary"
	"fmt"

	"carillon/allreduce"
	"carillon/job"
)

// Word is what rank 0 announces to all members with the exponents that open a
// step. It takes hold after that step, for all of them alike.
type Word struct {
	Algorithm allreduce.Algorithm // how the rest of this step is added up
	Save      bool                // keep this state for a checkpoint
	Stop      bool                // this step is the last one; keep its state
	Switch    job.RosterNumber    // go on under this roster; zero: stay
}

// The format of a word: version, algorithm, flags, incarnation, count.
const (
	wordVersion = 1
	wordSize    = 1 + 1 + 1 + 4 + 4

	wordSave = 1 << 0
	wordStop = 1 << 1
)

func (w Word) encode() []byte {
	b := make([]byte, 3, wordSize)
	b[0], b[1] = wordVersion, byte(w.Algorithm)
	if w.Save {
		b[2] |= wordSave
	}
	if w.Stop {
		b[2] |= wordStop
	}
	b = binary.LittleEndian.AppendUint32(b, w.Switch.Incarnation)
	return binary.LittleEndian.AppendUint32(b, w.Switch.Count)
}

func parseWord(b []byte) (Word, error) {
	if len(b) != wordSize || b[0] != wordVersion || b[2]&^(wordSave|wordStop) != 0 {
		return Word{}, fmt.Errorf("rank 0's word % x: want %d bytes of version %d", b, wordSize, wordVersion)
	}
	return Word{
		Algorithm: allreduce.Algorithm(b[1]),
		Save:      b[2]&wordSave != 0,
		Stop:      b[2]&wordStop != 0,
		Switch: job.RosterNumber{
			Incarnation: binary.LittleEndian.Uint32(b[3:]),
			Count:       binary.LittleEndian.Uint32(b[7:]),
		},
	}, nil
}
