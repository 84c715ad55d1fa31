package wire

import (
	"fmt"
	"strings"

	"carillon/job"
)

// PeerError is an error for which one rank is to blame, as far as this node can
// see: it cannot be reached, its connection broke, a frame of it is missing or
// damaged, or it did not send or read in time.
type PeerError struct {
	Rank int
	ID   job.NodeID
	Err  error
}

// Error names the rank and what happened.
func (e *PeerError) Error() string { return fmt.Sprintf("rank %d (%s): %v", e.Rank, e.ID, e.Err) }

// Unwrap returns what happened.
func (e *PeerError) Unwrap() error { return e.Err }

// Suspect is the node to blame.
func (e *PeerError) Suspect() job.NodeID { return e.ID }

// Suspects lists the nodes that err blames, in the order in which it names them.
func Suspects(err error) []job.NodeID {
	switch e := err.(type) {
	case nil:
		return nil
	case *PeerError:
		return []job.NodeID{e.ID}
	case interface{ Unwrap() []error }:
		var ids []job.NodeID
		for _, inner := range e.Unwrap() {
			ids = append(ids, Suspects(inner)...)
		}
		return ids
	case interface{ Unwrap() error }:
		return Suspects(e.Unwrap())
	}
	return nil
}

// errorList is several errors in one line.
type errorList []error

func (l errorList) Error() string {
	texts := make([]string, len(l))
	for i, err := range l {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (l errorList) Unwrap() []error { return l }

// join leaves out what is nil, and returns nil if that is all.
func join(errs []error) error {
	var l errorList
	for _, err := range errs {
		if err != nil {
			l = append(l, err)
		}
	}
	if len(l) == 0 {
		return nil
	}
	return l
}
