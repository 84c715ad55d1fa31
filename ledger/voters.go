package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"
)

// Known says whether a folder holds the ledger of a voter that has been one.
func Known(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, voterMark))
	return err == nil
}

// Voters lists who votes, in order of their IDs.
func (l *Ledger) Voters() []Peer {
	return l.servers(func(s raft.Server) bool { return s.Suffrage == raft.Voter })
}

// Learners lists who was admitted and does not vote yet.
func (l *Ledger) Learners() []Peer {
	return l.servers(func(s raft.Server) bool { return s.Suffrage != raft.Voter })
}

// Servers lists who votes, and who was admitted and does not yet.
func (l *Ledger) Servers() []Peer { return l.servers(func(raft.Server) bool { return true }) }

func (l *Ledger) servers(ok func(raft.Server) bool) (peers []Peer) {
	f := l.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	for _, s := range f.Configuration().Servers {
		if ok(s) {
			peers = append(peers, Peer{ID: string(s.ID), Addr: string(s.Address)})
		}
	}
	slices.SortFunc(peers, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	return peers
}

// Admit lets a new voter hear of everything, without a vote: what it needs before
// Promote.
func (l *Ledger) Admit(p Peer) error {
	return l.change(l.raft.AddNonvoter(raft.ServerID(p.ID), raft.ServerAddress(p.Addr), 0, proposePatience))
}

// Promote gives a vote to who was admitted.
func (l *Ledger) Promote(p Peer) error {
	return l.change(l.raft.AddVoter(raft.ServerID(p.ID), raft.ServerAddress(p.Addr), 0, proposePatience))
}

// Remove takes a vote away for ever.
func (l *Ledger) Remove(id string) error {
	return l.change(l.raft.RemoveServer(raft.ServerID(id), 0, proposePatience))
}

func (l *Ledger) change(f raft.IndexFuture) error {
	switch err := f.Error(); {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrRaftShutdown):
		return fmt.Errorf("%w (%v)", ErrNotLeader, err)
	default:
		return fmt.Errorf("change of voters: %w", err)
	}
}
