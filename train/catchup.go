package train

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"carillon/allreduce"
	"carillon/checkpoint"
	"carillon/job"
	"carillon/roster"
)

// pieceSize is how much of a sum or a state travels in one answer: well below a
// message's limit, and short enough that a beat is not held up.
const pieceSize = 512 << 10

// want asks for a piece of something large.
type want struct {
	Step uint64 `json:"step"` // the step that a sum made, or that a state stands at (0: whatever it is)
	Off  int64  `json:"off"`
}

// A piece is answered as: version (1 byte), step (8), total size (8), a digest
// (32), data. For a sum the digest is that of the state after it; for a state
// it is the state's own. Total 0: not here any more.
const (
	pieceVersion = 1
	pieceHeader  = 1 + 8 + 8 + 32
)

// errNotKept says that a peer no longer has what it was asked for.
var errNotKept = errors.New("not kept any more")

// catchUp brings this node to where peer stands: by the sums that it missed if
// peer still has them, else by peer's whole state.
func (t *Trainer) catchUp(ctx context.Context, peer roster.Member, to Hello) error {
	from := t.state.Step
	err := t.missedSums(ctx, peer, to)
	if errors.Is(err, errNotKept) {
		err = t.wholeState(ctx, peer)
	}
	if err != nil {
		return fmt.Errorf("catch up from step %d to %d with %v: %w", from, to.Step, peer.ID, err)
	}
	t.mu.Lock()
	digest := hex.EncodeToString(t.state.Digest[:])
	step := t.state.Step
	t.wake()
	t.mu.Unlock()
	if step == to.Step && digest != to.Digest {
		return fatal(&SplitError{Step: step, A: t.cfg.Self, B: peer.ID, DigestA: digest, DigestB: to.Digest})
	}
	t.cfg.Reporter.Changed()
	t.cfg.Log.Info("caught up", "from", from, "step", step, "peer", peer.ID)
	return t.upload()
}

// missedSums fetches and applies one finished sum after another. Each proves
// itself: its digest covers the state that it leads to.
func (t *Trainer) missedSums(ctx context.Context, peer roster.Member, to Hello) error {
	for t.state.Step < to.Step {
		canonical, _, digest, err := t.fetch(ctx, peer, verbSum, t.state.Step+1)
		if err != nil {
			return err
		}
		exps, sum, tail, err := allreduce.ParseCanonical(canonical, len(t.state.W))
		if err != nil {
			return err
		}
		rec, err := t.apply(sum, exps, tail)
		if err != nil {
			return err
		}
		if rec.Digest != digest {
			return fatal(&SplitError{Step: rec.Step, A: t.cfg.Self, B: peer.ID, DigestA: hex.EncodeToString(rec.Digest[:]), DigestB: hex.EncodeToString(digest[:])})
		}
		t.note(rec)
	}
	return nil
}

// note keeps the record of a step that was made elsewhere, for the case that
// who made it did not live to report it.
func (t *Trainer) note(rec Record) {
	t.report()
	t.mu.Lock()
	t.record, t.evalTail = &rec, nil
	rec.Roster, rec.Nodes = t.current.Number, len(t.current.Members)
	t.mu.Unlock()
}

// wholeState replaces this node's state by peer's. It is checked on arrival by
// its own hash; the first sum on top of it proves it, since that sum's digest
// covers the whole of the new state.
func (t *Trainer) wholeState(ctx context.Context, peer roster.Member) error {
	b, step, digest, err := t.fetch(ctx, peer, verbState, 0)
	if err != nil {
		return err
	}
	s, err := decodeSnapshot(b, len(t.state.W))
	if err != nil {
		return fmt.Errorf("state of step %d: %w", step, err)
	}
	s.Step, s.Digest = step, digest
	t.adopt(s)
	return nil
}

// restore takes the newest checkpoint's state.
func (t *Trainer) restore(ctx context.Context, reason string) error {
	s, err := t.cfg.Restore(ctx)
	if err != nil {
		return fmt.Errorf("restore (%s): %w", reason, err)
	}
	if s.Step <= t.state.Step {
		return fmt.Errorf("restore (%s): the newest checkpoint is of step %d, and this node stands at %d", reason, s.Step, t.state.Step)
	}
	t.adopt(s)
	t.cfg.Log.Info("restored", "step", s.Step, "reason", reason)
	return t.upload()
}

// adopt makes s this node's state.
func (t *Trainer) adopt(s State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state = s
	if t.evaluated = s.Step; t.mayBeBest() && t.saved < s.Step {
		t.evaluated = 0 // nobody may be left who knows what came of it
	}
	t.record = nil
	t.wake()
}

// fetch gets something large from a peer, piece by piece.
func (t *Trainer) fetch(ctx context.Context, peer roster.Member, verb string, step uint64) (data []byte, at uint64, digest [32]byte, err error) {
	at = step
	for total := int64(1); int64(len(data)) < total; {
		ask, err := json.Marshal(want{Step: at, Off: int64(len(data))})
		if err != nil {
			return nil, 0, digest, err
		}
		b, err := t.askPiece(ctx, peer, verb, ask)
		if err != nil {
			return nil, 0, digest, err
		}
		total = int64(binary.LittleEndian.Uint64(b[9:]))
		if total == 0 {
			return nil, 0, digest, fmt.Errorf("%s %d of %v: %w", verb, step, peer.ID, errNotKept)
		}
		at, digest = binary.LittleEndian.Uint64(b[1:]), [32]byte(b[17:pieceHeader])
		if len(b) == pieceHeader || int64(len(data)+len(b)-pieceHeader) > total || total > t.largest() {
			return nil, 0, digest, fmt.Errorf("%s %d of %v: a piece of %d bytes at %d of %d does not fit", verb, step, peer.ID, len(b)-pieceHeader, len(data), total)
		}
		data = append(data, b[pieceHeader:]...)
	}
	return data, at, digest, nil
}

func (t *Trainer) askPiece(ctx context.Context, peer roster.Member, verb string, ask []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	b, err := t.cfg.Links.Ask(ctx, peer, verb, ask)
	if err != nil {
		return nil, err
	}
	if len(b) < pieceHeader || b[0] != pieceVersion {
		return nil, fmt.Errorf("%s of %v: not a piece of version %d (%d bytes)", verb, peer.ID, pieceVersion, len(b))
	}
	return b, nil
}

// largest bounds what a peer may send: a state, or the largest sum.
func (t *Trainer) largest() int64 { return int64(len(t.state.W))*12 + 1<<20 }

// answerSum serves the last finished sums.
func (t *Trainer) answerSum(from job.NodeID, payload []byte) ([]byte, error) {
	var w want
	if err := json.Unmarshal(payload, &w); err != nil {
		return nil, fmt.Errorf("request for a sum from %v: %w", from, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	sum, digest := t.history.get(w.Step)
	return piece(w.Step, sum, digest, w.Off), nil
}

// answerState serves a copy of the state, taken when its first piece is asked for.
func (t *Trainer) answerState(from job.NodeID, payload []byte) ([]byte, error) {
	var w want
	if err := json.Unmarshal(payload, &w); err != nil {
		return nil, fmt.Errorf("request for the state from %v: %w", from, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.Off == 0 {
		t.snapshot.take(&t.state)
	}
	if w.Off > 0 && w.Step != t.snapshot.step {
		return piece(w.Step, nil, [32]byte{}, 0), nil
	}
	return piece(t.snapshot.step, t.snapshot.data, t.snapshot.digest, w.Off), nil
}

// piece cuts an answer's data; nil data, or an offset outside, is "not kept".
func piece(step uint64, data []byte, digest [32]byte, off int64) []byte {
	if off < 0 || off > int64(len(data)) {
		data, off = nil, 0
	}
	part := data[off:min(int64(len(data)), off+pieceSize)]
	b := make([]byte, 0, pieceHeader+len(part))
	b = append(b, pieceVersion)
	b = binary.LittleEndian.AppendUint64(b, step)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data)))
	b = append(b, digest[:]...)
	return append(b, part...)
}

// snapshot is a state held still while somebody fetches it: the hash of what
// follows, the number of updates, and checkpoint's encoding of the vectors.
type snapshot struct {
	step   uint64
	digest [32]byte
	data   []byte
}

func (s *snapshot) take(st *State) {
	if s.data != nil && s.step == st.Step {
		return
	}
	hash := checkpoint.StateHash(st.W, st.M, st.V)
	s.data = append(s.data[:0], hash[:]...)
	s.data = checkpoint.EncodeState(s.data, st.W, st.M, st.V, st.Updates)
	s.step, s.digest = st.Step, st.Digest
}

func decodeSnapshot(b []byte, size int) (State, error) {
	if len(b) < 32 {
		return State{}, fmt.Errorf("%d bytes are no state", len(b))
	}
	s := State{W: make([]float32, size), M: make([]float32, size), V: make([]float32, size)}
	var err error
	if s.Updates, err = checkpoint.DecodeState(b[32:], s.W, s.M, s.V); err != nil {
		return State{}, err
	}
	if hash := checkpoint.StateHash(s.W, s.M, s.V); hash != [32]byte(b) {
		return State{}, errors.New("it does not have the hash that it was sent with")
	}
	return s, nil
}
