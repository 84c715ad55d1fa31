package ledger

import (
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// fsm lets hashicorp/raft drive a State. It holds no rules of its own.
type fsm struct {
	state   atomic.Pointer[State] // a new one for every change
	changed func()                // called after every change; does not block
}

var _ raft.FSM = (*fsm)(nil)

func newFSM(changed func()) *fsm {
	f := &fsm{changed: changed}
	f.state.Store(&State{Version: Version})
	return f
}

// Apply applies a committed entry; its result is the proposer's answer.
func (f *fsm) Apply(l *raft.Log) any {
	e, err := Decode(l.Data)
	if err != nil {
		return err
	}
	next := *f.state.Load()
	if err := next.Apply(e); err != nil {
		return err
	}
	f.state.Store(&next)
	f.changed()
	return nil
}

// Snapshot keeps the state as it is; Apply puts others in its place.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) { return snapshot{*f.state.Load()}, nil }

// Restore replaces the state by a snapshot's.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s, err := decodeState(data)
	if err != nil {
		return err
	}
	f.state.Store(&s)
	f.changed()
	return nil
}

// snapshot is a State on its way to disk.
type snapshot struct{ state State }

// Persist writes the state.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	data, err := s.state.encode()
	if err == nil {
		_, err = sink.Write(data)
	}
	if err != nil {
		sink.Cancel()
		return err
	}
	return sink.Close()
}

// Release has nothing to free.
func (s snapshot) Release() {}
