package wire

import (
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"carillon/job"
	"carillon/pki"
)

// A machine to which nobody can connect, behind a firewall or a router that translates
// addresses, is reached through a coordinator. Its node listens nowhere: it stays
// connected to the coordinator's server and hears its own subjects there, and the others
// connect to that server instead of to it. All that differs is who makes sure of the
// sender, and that everything passes the coordinator's machine.

// relayed begins the address of a node that is reached through a coordinator.
const relayed = "hub://"

// linked begins the names of a node's connections to a coordinator that carry what nodes
// say to each other. The end of one is not the node's.
const linked = "@"

// A connection that only listens would not notice that the other end is gone, and a
// router would forget it.
const (
	pingEvery  = 5 * time.Second
	maxUnheard = 2 // pings
)

// stayAt connects to one of the coordinators, to be reached there. Nodes begin with
// different ones, and the same node with the next one if the list begins with the next.
func (l *Links) stayAt(hubs []string) error {
	first := int(job.NameWord(l.cfg.Self.Name()) % uint64(len(hubs)))
	errs := make([]error, len(hubs))
	for i := range hubs {
		url := hubs[(first+i)%len(hubs)]
		nc, err := nats.Connect(url, append(l.cfg.trust(nil, pki.Coordinator), nats.Name(linked+string(l.cfg.Self)), silent,
			nats.NoReconnect(), nats.Timeout(dialPatience), nats.FlusherTimeout(writePatience),
			nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(maxUnheard),
			nats.ClosedHandler(func(nc *nats.Conn) { l.parted(url, nc.LastError()) }))...)
		if err == nil {
			l.nc, l.addr = nc, relayed+strings.TrimPrefix(url, "nats://")
			return nil
		}
		errs[i] = fmt.Errorf("connect to the coordinator at %s: %w", url, cause(err))
	}
	return join(errs)
}

// partFrom ends the stay at a coordinator that was revoked.
func (l *Links) partFrom(revoked func(pki.Name) bool) {
	s, err := l.nc.TLSConnectionState()
	if err != nil {
		return // it has ended
	}
	if who, ok := clientName(&s); ok && revoked(who) {
		l.nc.Close()
	}
}

// parted tells that nobody reaches this node any more, unless it was closed.
func (l *Links) parted(from string, why error) {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if !closed && l.cfg.Parted != nil {
		l.cfg.Parted(fmt.Errorf("the connection to the coordinator at %s, through which the others reach this node, has ended (%v)", from, why))
	}
}

// trust are a client's options for servers of a role; check, if any, looks closer.
func (c Config) trust(check func(tls.ConnectionState) error, role pki.Role) []nats.Option {
	if c.Identity == nil {
		return nil
	}
	cfg := c.Identity.Client(role)
	if trusted := cfg.VerifyConnection; check != nil {
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			if err := trusted(s); err != nil {
				return err
			}
			return check(s)
		}
	}
	return secure(cfg)
}

// relay is what a node may do at a coordinator's server to talk with other nodes: speak as
// itself to any of them, hear what is said to it, and answer. An answer's subject names
// both, so that nobody answers for another.
func relay(id job.NodeID) *server.Permissions {
	return may(string(id),
		[]string{greetSubject("*", "*", id), frameSubject("*", "*", id), askSubject("*", "*", "*", id), inboxAt("*", id) + ".>"},
		[]string{greetSubject("*", id, "*"), frameSubject("*", id, "*"), askSubject("*", id, "*", "*")})
}

// inboxAt is where from's answers to a node's questions come.
func inboxAt(id, from job.NodeID) string { return inboxOf(string(id) + "." + string(from)) }
