package wire

import (
	"crypto/rand"
	"crypto/tls"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"carillon/job"
	"carillon/pki"
)

// gate decides who may connect to a process's own server, and what each may say and
// hear there. Without an identity (on loopback) that is everybody and everything.
type gate struct {
	identity *pki.Identity
	permit   func(who pki.Name, self string) *server.Permissions // nil: may not connect
	roles    []pki.Role                                          // of clients
	anyone   bool                                                // clients without a certificate may connect, too

	secret string // which this process's own connections show
	mark   string // ends the users of clients that were let in: nobody else can know it
	srv    atomic.Pointer[server.Server]
	log    *serverLog // nil without a server

	refused  atomic.Uint64
	visitors atomic.Int32 // clients without a certificate that are in
}

var _ server.Authentication = (*gate)(nil)

// handshakePatience is how long a client may take to say who it is, in seconds.
const handshakePatience = 2

// Who has no certificate may stay for a while, and few may at a time.
const (
	visitTime   = 8 * time.Second
	maxVisitors = 256
)

// maxConnections bounds the clients of a process, of which each is some goroutines
// and buffers.
const maxConnections = 4096

// maxSubscriptions bounds those of a client, which has an inbox and little else.
const maxSubscriptions = 4096

// guard makes a server's options those of a guarded one.
func (g *gate) guard(o *server.Options) {
	g.secret, g.mark = rand.Text(), " "+rand.Text()
	o.CustomClientAuthentication = g
	o.MaxConn, o.MaxSubs = maxConnections, maxSubscriptions
	o.AuthTimeout = handshakePatience
	if g.identity == nil {
		return
	}
	o.TLS, o.TLSVerify, o.TLSHandshakeFirst, o.TLSTimeout = true, true, true, handshakePatience
	o.TLSConfig = g.identity.Server(g.anyone, g.roles...)
}

// Check implements server.Authentication.
func (g *gate) Check(c server.ClientAuthentication) bool {
	opts := c.GetOpts()
	switch opts.Token {
	case g.secret:
		return true
	case g.secret + eventsSuffix:
		if srv := g.srv.Load(); srv != nil {
			c.RegisterUser(&server.User{Username: "events", Account: srv.SystemAccount()})
		}
		return true
	}
	if g.identity == nil {
		return true
	}
	who, ok := clientName(c.GetTLSConnectionState())
	if ok || g.anyone {
		if p := g.permit(who, opts.Name); p != nil && checkToken("name", opts.Name) == nil {
			if !ok {
				return g.visit(c, p)
			}
			c.RegisterUser(&server.User{Username: who.String() + g.mark, Permissions: p})
			return true
		}
	}
	g.refused.Add(1)
	return false
}

// visit lets a client without a certificate in for a while.
func (g *gate) visit(c server.ClientAuthentication, p *server.Permissions) bool {
	if g.visitors.Add(1) > maxVisitors {
		g.visitors.Add(-1)
		g.refused.Add(1)
		return false
	}
	time.AfterFunc(visitTime, func() { g.visitors.Add(-1) })
	c.RegisterUser(&server.User{Username: visitor, Permissions: p, ConnectionDeadline: time.Now().Add(visitTime)})
	return true
}

// clientName is whose certificate the other end of a connection showed; ok is false if it
// showed none.
func clientName(s *tls.ConnectionState) (who pki.Name, ok bool) {
	if s == nil || len(s.PeerCertificates) == 0 {
		return pki.Name{}, false
	}
	who, err := pki.NameOf(s.PeerCertificates[0])
	return who, err == nil
}

// Refused counts what was refused so far: connections, and messages to where their
// sender may not speak.
func (g *gate) Refused() uint64 {
	n := g.refused.Load()
	if g.log != nil {
		n += g.log.violations.Load()
	}
	if g.identity != nil {
		n += g.identity.Refused()
	}
	return n
}

// expel ends the connections of names that were revoked.
func (g *gate) expel(revoked func(pki.Name) bool) {
	all, err := g.srv.Load().Connz(&server.ConnzOptions{Username: true, Limit: maxConnections})
	if err != nil {
		return // the server is being stopped
	}
	for _, c := range all.Conns {
		if n, ok := g.admitted(c.AuthorizedUser); ok && revoked(n) {
			_ = g.srv.Load().DisconnectClientByID(c.Cid) // it may have gone
		}
	}
}

// admitted reads the user of a client that was let in. One that was not has a user of its
// choice.
func (g *gate) admitted(user string) (pki.Name, bool) {
	name, ok := strings.CutSuffix(user, g.mark)
	n, err := pki.ParseName(name)
	return n, ok && err == nil
}

// eventsSuffix ends the secret of a connection that hears the server's own events.
const eventsSuffix = "-events"

// may are the permissions of a client: subjects to speak on, beside its own inbox to
// hear on others.
func may(self string, speak, hear []string) *server.Permissions {
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: speak},
		Subscribe: &server.SubjectPermission{Allow: append(hear, inboxOf(self)+".>")},
	}
}

// inboxOf is where the answers to a client's questions come.
func inboxOf(self string) string { return "_INBOX." + self }

// respond answers a message. Permissions say nothing of where an answer is to go: it goes
// to the inbox of who asked, and nowhere else.
func (g *gate) respond(m *nats.Msg, from string, answer []byte) {
	if !strings.HasPrefix(m.Reply, inboxOf(from)) || strings.ContainsAny(m.Reply, "*>") {
		g.refused.Add(1)
		return
	}
	_ = m.Respond(answer) // who asked will ask again
}

// speaksAs says whether the holder of a certificate may be the node id: the machine
// itself, or one of its devices.
func speaksAs(who pki.Name, id job.NodeID) bool {
	name := id.Name()
	return who.Role == pki.Node && (name == who.Name || strings.HasPrefix(name, who.Name+DeviceMark)) && checkToken("node id", string(id)) == nil
}

// DeviceMark stands between a machine's name and what tells its devices apart, in the
// names of nodes.
const DeviceMark = ":"

// visitor begins the names of clients that are no nodes; no node's can.
const visitor = "~"

// secure are a client's options for TLS; none on loopback without.
func secure(cfg *tls.Config) []nats.Option {
	if cfg == nil {
		return nil
	}
	return []nats.Option{nats.Secure(cfg), nats.TLSHandshakeFirst()}
}
