package wire

import (
	"errors"
	"fmt"
)

// A reply begins with one byte that says what the rest is.
const (
	replyOK        = 0 // the answer
	replyError     = 1 // an error's text
	replyNotLeader = 2 // the leader's address, "" when there is none
)

// RemoteError is an error that another process's handler returned.
type RemoteError struct{ Text string }

// Error is the text as the handler gave it.
func (e *RemoteError) Error() string { return e.Text }

// NotLeader is returned by a coordinator's handler for a request that only the
// leader may answer. Control.Request then asks the leader.
type NotLeader struct{ Addr string } // of the leader's hub; "" when there is none

// Error says who leads.
func (e *NotLeader) Error() string {
	if e.Addr == "" {
		return "this coordinator does not lead, and knows of no leader"
	}
	return "this coordinator does not lead, " + e.Addr + " does"
}

// wrapReply makes a handler's answer or error a message.
func wrapReply(answer []byte, err error) []byte {
	var other *NotLeader
	kind := byte(replyOK)
	switch {
	case errors.As(err, &other):
		kind, answer = replyNotLeader, []byte(other.Addr)
	case err != nil:
		kind, answer = replyError, []byte(err.Error())
	case len(answer)+1 > maxPayload:
		kind, answer = replyError, fmt.Appendf(nil, "the answer has %d bytes, more than a message may (%d): ask for it in pieces", len(answer), maxPayload-1)
	}
	return append([]byte{kind}, answer...)
}

// openReply is the inverse of wrapReply.
func openReply(msg []byte) ([]byte, error) {
	if len(msg) == 0 {
		return nil, errors.New("an empty reply, want at least its kind")
	}
	switch kind, rest := msg[0], msg[1:]; kind {
	case replyOK:
		return rest, nil
	case replyError:
		return nil, &RemoteError{Text: string(rest)}
	case replyNotLeader:
		return nil, &NotLeader{Addr: string(rest)}
	default:
		return nil, fmt.Errorf("a reply of kind %d, want 0 to 2", kind)
	}
}
