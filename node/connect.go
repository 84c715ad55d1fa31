package node

import (
	"context"
	"errors"

	"carillon/wire"
)

// connections are a node's: to other nodes, and to the coordinators.
type connections struct {
	links   *wire.Links
	control *wire.Control
}

// connect opens them, or gives up when ctx ends or the node is told to leave: nobody
// knows of it yet.
func (n *node) connect(ctx context.Context, lc wire.Config, cc wire.ControlConfig) (*connections, error) {
	var p *connections
	var err error
	done := make(chan struct{})
	go func() { defer close(done); p, err = dial(lc, cc) }()
	select {
	case <-done:
		return p, err
	case <-ctx.Done():
		go func() { <-done; p.close() }() // ends when the addresses have answered or not
		return nil, context.Cause(ctx)
	case why := <-n.cfg.Leave:
		n.log.Info("leaving", "why", why)
		go func() { <-done; p.close() }()
		return nil, errors.Join(ErrLeft, ErrBusy)
	}
}

func dial(lc wire.Config, cc wire.ControlConfig) (*connections, error) {
	links, err := wire.Open(lc)
	if err != nil {
		return nil, err
	}
	control, err := wire.Dial(cc)
	if err != nil {
		links.Close()
		return nil, err
	}
	return &connections{links, control}, nil
}

// close closes them, if there are any.
func (p *connections) close() {
	if p != nil {
		p.control.Close()
		p.links.Close()
	}
}
