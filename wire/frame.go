package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"carillon/allreduce"
	"carillon/job"
)

// # Frame format, version 2
//
// Version 1 had the sender in the trailer only; now the subject names it, too.
//
// A frame is up to 61,440 bytes of data followed by a trailer of 64 bytes, all
// integers little-endian. The trailer stands last so that data begins where the
// allocation does. Its last ten bytes keep their places in every version.
//
//	 0 uint64  job: FNV-1a of its id
//	 8 uint32  roster: incarnation
//	12 uint32  roster: count
//	16 uint64  step
//	24 uint32  attempt
//	28 uint32  piece of the message, from 0
//	32 uint32  pieces in the message, at least 1
//	36 uint16  source: the sender's rank
//	38 uint16  hop within the phase
//	40 uint64  sequence: counts the frames from source to this rank on this
//	           roster, from 0; 0 in an acknowledgement
//	48 uint8   phase (allreduce.Phase); 255 is an acknowledgement, whose data is
//	           a uint64: the bytes taken from its receiver in this step and attempt
//	49 5 bytes zero
//	54 uint16  version
//	56 uint32  "CRLN"
//	60 uint32  CRC-32C of everything before it
const (
	frameData    = 60 << 10
	trailerSize  = 64
	frameMagic   = 0x4E4C5243 // "CRLN"
	phaseAck     = allreduce.Phase(255)
	maxPieces    = 1 << 17 // 7.5 GiB: what a damaged count may at most ask for
	versionPlace = 54
	magicPlace   = 56
	crcPlace     = 60
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// op is a step's attempt. What is said in one op is void in the next.
type op struct {
	step    uint64
	attempt uint32
}

func (a op) less(b op) bool {
	return a.step < b.step || a.step == b.step && a.attempt < b.attempt
}

// trailer is a frame's address.
type trailer struct {
	job           uint64
	roster        job.RosterNumber
	op            op
	hop           allreduce.Hop
	piece, pieces uint32
	source        uint16
	sequence      uint64
}

// frame is a frame that has arrived whole. data is its own.
type frame struct {
	trailer
	from job.NodeID // who sent it, as its subject says
	data []byte
}

// seal appends the trailer to data, which stands alone in buf.
func (t trailer) seal(buf []byte) []byte {
	n := len(buf)
	buf = append(buf, make([]byte, trailerSize)...)
	b, le := buf[n:], binary.LittleEndian
	le.PutUint64(b[0:], t.job)
	le.PutUint32(b[8:], t.roster.Incarnation)
	le.PutUint32(b[12:], t.roster.Count)
	le.PutUint64(b[16:], t.op.step)
	le.PutUint32(b[24:], t.op.attempt)
	le.PutUint32(b[28:], t.piece)
	le.PutUint32(b[32:], t.pieces)
	le.PutUint16(b[36:], t.source)
	le.PutUint16(b[38:], t.hop.N)
	le.PutUint64(b[40:], t.sequence)
	b[48] = byte(t.hop.Phase)
	le.PutUint16(b[versionPlace:], Version)
	le.PutUint32(b[magicPlace:], frameMagic)
	le.PutUint32(b[crcPlace:], crc32.Checksum(buf[:n+crcPlace], castagnoli))
	return buf
}

var errCRC = errors.New("a frame's CRC is wrong: it was damaged on its way")

// parseFrame reads a frame, whose data aliases msg. It never panics. A frame
// with a wrong CRC comes back with errCRC and the trailer as it stands, which
// is the best guess at who sent it.
func parseFrame(msg []byte) (frame, error) {
	n := len(msg) - trailerSize
	if n < 0 || n > frameData {
		return frame{}, fmt.Errorf("a frame of %d bytes, want %d to %d", len(msg), trailerSize, frameData+trailerSize)
	}
	b, le := msg[n:], binary.LittleEndian
	if m := le.Uint32(b[magicPlace:]); m != frameMagic {
		return frame{}, fmt.Errorf("a frame ends in %08x, want %08x", m, uint32(frameMagic))
	}
	if v := le.Uint16(b[versionPlace:]); v != Version {
		return frame{}, fmt.Errorf("a frame of version %d, want %d; run one version of carillon on all nodes", v, Version)
	}
	f := frame{data: msg[:n:n], trailer: trailer{
		job:      le.Uint64(b[0:]),
		roster:   job.RosterNumber{Incarnation: le.Uint32(b[8:]), Count: le.Uint32(b[12:])},
		op:       op{le.Uint64(b[16:]), le.Uint32(b[24:])},
		piece:    le.Uint32(b[28:]),
		pieces:   le.Uint32(b[32:]),
		source:   le.Uint16(b[36:]),
		hop:      allreduce.Hop{Phase: allreduce.Phase(b[48]), N: le.Uint16(b[38:])},
		sequence: le.Uint64(b[40:]),
	}}
	switch {
	case le.Uint32(b[crcPlace:]) != crc32.Checksum(msg[:n+crcPlace], castagnoli):
		return f, errCRC
	case f.piece >= f.pieces || f.pieces > maxPieces:
		return frame{}, fmt.Errorf("a frame that is piece %d of %d", f.piece, f.pieces)
	case f.hop.Phase == phaseAck && len(f.data) != 8:
		return frame{}, fmt.Errorf("an acknowledgement of %d bytes, want 8", len(f.data))
	}
	return f, nil
}

// piecesOf is how many frames a message of n bytes takes; an empty one takes one.
func piecesOf(n int) int { return max(1, (n+frameData-1)/frameData) }

// cut returns piece i of a message.
func cut(message []byte, i int) []byte {
	return message[i*frameData : min(len(message), (i+1)*frameData)]
}
