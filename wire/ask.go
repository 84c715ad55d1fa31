package wire

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"carillon/job"
)

// ErrNoHandler is returned by Ask when the node handles no such verb (yet).
var ErrNoHandler = errors.New("nobody there handles that")

// Ask puts a question to a node's handler of verb and returns its answer. It
// has a connection apart from frames, which it opens when needed, so that
// nodes of no common roster can talk and bulk data is not in the way. The
// handler's own error comes back as a *RemoteError. No call outlives ctx,
// whatever the other process does.
func (l *Links) Ask(ctx context.Context, to Peer, verb string, payload []byte) ([]byte, error) {
	answer, err := l.ask(ctx, to, verb, payload)
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", to.ID, verb, err)
	}
	return answer, nil
}

func (l *Links) ask(ctx context.Context, to Peer, verb string, payload []byte) ([]byte, error) {
	k, err := l.question(ctx, to, verb)
	if err != nil {
		return nil, err
	}
	inbox := k.nc.NewInbox()
	sub, err := k.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe()
	if err := k.publish(ctx, askSubject(l.cfg.Job, to.ID, verb, l.cfg.Self), inbox, payload); err != nil {
		return nil, err
	}
	msg, err := sub.NextMsgWithContext(ctx)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, ErrNoHandler
	case err != nil:
		return nil, because(ctx, err)
	}
	return openReply(msg.Data)
}

// Tell is Ask without an answer. It returns once the message is handed to the
// connection, which may lose it.
func (l *Links) Tell(ctx context.Context, to Peer, verb string, payload []byte) error {
	k, err := l.question(ctx, to, verb)
	if err == nil {
		err = k.publish(ctx, askSubject(l.cfg.Job, to.ID, verb, l.cfg.Self), "", payload)
	}
	if err != nil {
		return fmt.Errorf("tell %s of %s: %w", to.ID, verb, err)
	}
	return nil
}

// publish hands a message to the link. When ctx ends in the middle, the other
// side does not read, and the link is killed, since nothing else would free the
// caller.
func (k *link) publish(ctx context.Context, subject, reply string, payload []byte) error {
	stop := context.AfterFunc(ctx, k.raw.kill)
	defer stop()
	return because(ctx, k.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: payload}))
}

// question returns the link for questions to a node. Two callers may dial at
// once; one link is kept.
func (l *Links) question(ctx context.Context, to Peer, verb string) (*link, error) {
	if err := checkToken("verb", verb); err != nil {
		return nil, err
	}
	l.mu.Lock()
	k, closed := l.questions[to], l.closed
	l.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	if k != nil && k.alive() {
		return k, nil
	}
	k, err := dialLink(ctx, l.cfg, to)
	if err != nil {
		return nil, err
	}
	return l.keepQuestion(k)
}

func (l *Links) keepQuestion(k *link) (*link, error) {
	l.mu.Lock()
	old, closed := l.questions[k.peer], l.closed
	keep := !closed && (old == nil || !old.alive())
	if keep {
		l.questions[k.peer] = k
	}
	l.mu.Unlock()
	switch {
	case keep:
		k.watch(func(error) { l.forgetQuestion(k) })
		return k, nil
	case closed:
		k.close()
		return nil, ErrClosed
	}
	k.close()
	return old, nil
}

func (l *Links) forgetQuestion(k *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.questions[k.peer] == k {
		delete(l.questions, k.peer)
	}
}

// Handle answers questions of verb with fn, which runs in one goroutine of its
// own for each verb: questions of one verb wait for each other. payload is fn's.
// An answer is at most 1 MiB; what is larger is asked for in pieces. It panics
// if verb is not one word, or handled already.
func (l *Links) Handle(verb string, fn func(from job.NodeID, payload []byte) (reply []byte, err error)) {
	if err := checkToken("verb", verb); err != nil {
		panic(err)
	}
	l.mu.Lock()
	taken := l.verbs[verb]
	l.verbs[verb] = true
	l.mu.Unlock()
	if taken {
		panic(fmt.Errorf("verb %q is handled already", verb))
	}
	prefix := len(askSubject(l.cfg.Job, l.cfg.Self, verb, ""))
	l.subscribe(askSubject(l.cfg.Job, l.cfg.Self, verb, "*"), func(m *nats.Msg) {
		answer, err := fn(job.NodeID(m.Subject[prefix:]), m.Data)
		if m.Reply != "" {
			l.gate.respond(m, m.Subject[prefix:]+".", wrapReply(answer, err))
		} else if err != nil {
			l.cfg.Log.Warn("a message was not taken", "verb", verb, "from", m.Subject[prefix:], "error", err)
		}
	})
}
