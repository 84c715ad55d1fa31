package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"carillon/allreduce"
)

// wanted is what the exchange that runs waits for.
type wanted struct {
	hop     allreduce.Hop
	ranks   []message // those not waited for are empty
	missing int       // messages that are not whole yet
}

// message is the set of pieces of one message that have arrived.
type message struct {
	missing bool     // waited for, and not whole yet
	parts   [][]byte // nil where a piece is missing
	pieces  int      // in all; 0 before the first came
	got     int
	size    int // bytes of data in parts
}

// add puts a piece in. The same piece twice changes nothing.
func (p *message) add(f frame) error {
	if p.pieces == 0 {
		p.pieces = int(f.pieces)
	}
	if int(f.pieces) != p.pieces {
		return fmt.Errorf("a piece of a message of %d pieces says %d", p.pieces, f.pieces)
	}
	if f.piece+1 < f.pieces && len(f.data) != frameData {
		return fmt.Errorf("piece %d of %d has %d bytes, want %d", f.piece, f.pieces, len(f.data), frameData)
	}
	for int(f.piece) >= len(p.parts) {
		p.parts = append(p.parts, nil)
	}
	if p.parts[f.piece] == nil {
		p.parts[f.piece] = f.data
		p.got++
		p.size += len(f.data)
	}
	p.missing = p.got < p.pieces
	return nil
}

// join returns the whole message. One of a single piece is not copied.
func (p *message) join() []byte {
	if len(p.parts) == 1 {
		return p.parts[0]
	}
	return slices.Concat(p.parts...)
}

// inbox is what comes from one rank.
type inbox struct {
	sequence uint64  // of the next frame
	queue    []frame // of exchanges that this node has not come to, in order
	queued   int     // bytes of data in queue
	taken    uint64  // bytes of data that exchanges of this op have taken
	told     uint64  // of taken, what the sender was told of
}

// begin drops what is older than o, returns how many frames that was, and
// starts counting anew.
func (b *inbox) begin(o op) (dropped uint64) {
	b.taken, b.told = 0, 0
	return b.remove(func(f frame) bool { return f.op.less(o) }, nil)
}

// remove takes the frames that match out of the queue, in order, hands each to
// then, and returns how many there were.
func (b *inbox) remove(match func(frame) bool, then func(frame)) (n uint64) {
	b.queue = slices.DeleteFunc(b.queue, func(f frame) bool {
		if !match(f) {
			return false
		}
		n++
		b.queued -= len(f.data)
		if then != nil {
			then(f)
		}
		return true
	})
	return n
}

// due returns the data of an acknowledgement if the sender should have one, and
// counts it as told.
func (b *inbox) due() []byte {
	if b.taken-b.told < ackEvery {
		return nil
	}
	b.told = b.taken
	return binary.LittleEndian.AppendUint64(nil, b.taken)
}

// expect makes the exchange that runs wait for a message from rank r, and gives
// it what has come already. m.mu is held.
func (m *Mesh) expect(r int) {
	p := &m.want.ranks[r]
	if p.missing {
		return
	}
	p.missing = true
	m.want.missing++
	if len(m.in[r].queue) > 0 {
		m.in[r].remove(m.wanted, func(f frame) { m.place(f) })
	}
}

// wanted says whether the exchange that runs waits for f. m.mu is held.
func (m *Mesh) wanted(f frame) bool {
	return m.want != nil && f.op == m.op && f.hop == m.want.hop && m.want.ranks[f.source].missing
}

// take takes a frame of this roster from the wire, and returns false if it is
// of no use. It keeps f's data.
func (m *Mesh) take(f frame) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := int(f.source)
	if m.failed != nil || r >= len(m.peers) || r == m.rank {
		return false
	}
	if f.hop.Phase == phaseAck {
		return m.acknowledged(r, f)
	}
	b := &m.in[r]
	if f.sequence != b.sequence {
		m.blame(r, fmt.Errorf("frame %d came where %d was due: frames were lost", f.sequence, b.sequence))
		return false
	}
	b.sequence++
	switch {
	case f.op.less(m.op):
		return false
	case m.wanted(f):
		m.place(f)
	default:
		b.queue = append(b.queue, f)
		if b.queued += len(f.data); b.queued > maxQueued {
			m.blame(r, fmt.Errorf("it has sent %d bytes for which nobody asked yet, more than its window", b.queued))
		}
	}
	return true
}

// place gives a frame to the exchange that runs, and rouses it if there is
// something for it to do. m.mu is held.
func (m *Mesh) place(f frame) {
	r := int(f.source)
	p, b := &m.want.ranks[r], &m.in[r]
	if err := p.add(f); err != nil {
		m.blame(r, err)
		return
	}
	b.taken += uint64(len(f.data))
	if !p.missing {
		m.want.missing--
	}
	if m.want.missing == 0 || b.taken-b.told >= ackEvery {
		m.rouse()
	}
}

// acknowledged widens the window to rank r. m.mu is held.
func (m *Mesh) acknowledged(r int, f frame) bool {
	if f.op != m.op {
		return false
	}
	err := m.out[r].acknowledged(binary.LittleEndian.Uint64(f.data), m.peers[r].link.rtt)
	if err != nil {
		m.blame(r, err)
		return false
	}
	m.rouse()
	return true
}

var errAck = errors.New("it acknowledges bytes that were never sent")
