package wire

import "time"

const (
	minWindow = 1 << 20
	maxWindow = 8 << 20
	// ackEvery is how many bytes a receiver takes between two acknowledgements.
	// What it never acknowledges at the end of an exchange is less, so that the
	// next has three quarters of the smallest window at least.
	ackEvery = minWindow / 4
	// maxQueued is what can be waiting from one rank at most: a window of the
	// step that this node is in, and one of the next, as a peer can be one step
	// ahead, not two. A window may be exceeded by less than a frame.
	maxQueued = 2 * (maxWindow + frameData)
)

// window is how many bytes may be under way on a link: four times bandwidth
// (bytes a second) x delay, which keeps the link busy while acknowledgements
// come late, within bounds.
func window(bytesPerSecond float64, rtt time.Duration) uint64 {
	return uint64(min(max(4*bytesPerSecond*rtt.Seconds(), minWindow), maxWindow))
}

// outbox is what goes to one rank.
type outbox struct {
	sequence uint64 // of the next frame
	window   uint64 // bytes
	sent     uint64 // bytes of data in this op
	acked    uint64 // of sent, what the receiver has taken, as far as it said
	since    time.Time
}

// begin starts counting anew. The receiver does the same at the same step, and
// acknowledgements of the step before no longer count.
func (o *outbox) begin() { o.sent, o.acked = 0, 0 }

// reserve takes n bytes out of the window, if it is open.
func (o *outbox) reserve(n int) bool {
	if o.sent-o.acked >= o.window {
		return false
	}
	if o.sent == 0 {
		o.since = time.Now()
	}
	o.sent += uint64(n)
	return true
}

// acknowledged notes that the receiver has taken total bytes of this op, and
// fits the window to the pace of that. A window that was too small for the link
// shows as a pace of a window a round trip, and grows fourfold.
func (o *outbox) acknowledged(total uint64, rtt time.Duration) error {
	if total > o.sent {
		return errAck
	}
	o.acked = max(o.acked, total)
	if elapsed := time.Since(o.since).Seconds(); elapsed > 0 {
		o.window = window(float64(o.acked)/elapsed, rtt)
	}
	return nil
}
