package wire

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"carillon/allreduce"
	"carillon/job"
)

var example = trailer{
	job: 0x0102030405060708, roster: job.RosterNumber{Incarnation: 1, Count: 7}, op: op{1200, 2},
	hop: allreduce.Hop{Phase: allreduce.PhaseGather, N: 3}, piece: 4, pieces: 5, source: 6, sequence: 99,
}

// The bytes of a frame are a promise to other versions.
func TestFrameHasItsFinalForm(t *testing.T) {
	const want = "64617461" + // "data"
		"0807060504030201" + "0100000007000000" + "b004000000000000" + "02000000" + "04000000" + "05000000" +
		"0600" + "0300" + "6300000000000000" + "03" + "0000000000" + "0200" + "43524c4e"
	got := hex.EncodeToString(example.seal([]byte("data")))
	if got[:len(got)-8] != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFrameComesBack(t *testing.T) {
	for _, n := range []int{0, 1, frameData} {
		data := bytes.Repeat([]byte{7}, n)
		f, err := parseFrame(example.seal(bytes.Clone(data)))
		if err != nil || f.trailer != example || !bytes.Equal(f.data, data) {
			t.Errorf("%d bytes: got %+v, %v", n, f.trailer, err)
		}
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	whole := example.seal([]byte("data"))
	for i := range len(whole) * 8 {
		b := bytes.Clone(whole)
		b[i/8] ^= 1 << (i % 8)
		if _, err := parseFrame(b); err == nil {
			t.Errorf("bit %d can be flipped", i)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(example.seal([]byte("data")))
	f.Add(example.seal(nil)[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := parseFrame(bytes.Clone(b)); err == nil && !bytes.Equal(got.seal(bytes.Clone(got.data)), b) {
			t.Errorf("%x comes back as another frame", b)
		}
	})
}

// Whatever frames come, a message is an error or what was sent, and never a panic.
func FuzzMessage(f *testing.F) {
	f.Add([]byte{0, 2, 1, 2})
	f.Fuzz(func(t *testing.T, script []byte) {
		var p message
		for ; len(script) >= 2; script = script[2:] {
			piece, pieces := uint32(script[0]), uint32(script[1])
			if piece >= pieces {
				continue
			}
			size := frameData
			if piece+1 == pieces {
				size = 3
			}
			if err := p.add(frame{trailer{piece: piece, pieces: pieces}, "", make([]byte, size)}); err != nil {
				return
			}
		}
		if p.pieces > 0 && !p.missing && len(p.join()) != (p.pieces-1)*frameData+3 {
			t.Errorf("a message of %d pieces has %d bytes", p.pieces, len(p.join()))
		}
	})
}

func TestWindow(t *testing.T) {
	for _, tt := range []struct {
		bytesPerSecond float64
		rtt            time.Duration
		want           uint64
	}{
		{1e9, 100 * time.Microsecond, minWindow},   // loopback
		{12.5e6, 40 * time.Millisecond, 2_000_000}, // 100 Mbit/s across a continent
		{1.25e9, 40 * time.Millisecond, maxWindow}, // 10 Gbit/s across a continent
		{0, time.Second, minWindow}, {1e9, 0, minWindow},
	} {
		if got := window(tt.bytesPerSecond, tt.rtt); got != tt.want {
			t.Errorf("window(%g, %v) = %d, want %d", tt.bytesPerSecond, tt.rtt, got, tt.want)
		}
	}
}
