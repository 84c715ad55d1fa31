package node

import (
	"context"

	"carillon/job"
	"carillon/roster"
	"carillon/train"
	"carillon/wire"
)

// links lets wire.Links be train.Links.
type links struct{ *wire.Links }

var _ train.Links = links{}

func (l links) Form(ctx context.Context, r roster.Roster, broken func(job.NodeID, error)) (train.Mesh, error) {
	peers := make([]wire.Peer, len(r.Members))
	for i, m := range r.Members {
		peers[i] = peer(m)
	}
	m, err := l.Links.Form(ctx, r.Number, peers, broken)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (l links) Ask(ctx context.Context, to roster.Member, verb string, payload []byte) ([]byte, error) {
	return l.Links.Ask(ctx, peer(to), verb, payload)
}

func peer(m roster.Member) wire.Peer { return wire.Peer{ID: m.ID, Addr: m.Addr} }
