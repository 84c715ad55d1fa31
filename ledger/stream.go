package ledger

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"carillon/pki"
)

// stream carries raft between coordinators: TCP, and TLS 1.3 with certificates on both
// sides where there is an identity.
type stream struct {
	net.Listener
	identity *pki.Identity // nil: not encrypted
	addr     address       // as others know it

	mu   sync.Mutex // guards open
	open map[*shaken]bool
}

var _ raft.StreamLayer = (*stream)(nil)

// address is a host, which may be a name, and a port.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

func listen(addr, advertised string, identity *pki.Identity) (*stream, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &stream{Listener: l, identity: identity, addr: address(advertised), open: map[*shaken]bool{}}, nil
}

// Addr is the address that other coordinators use.
func (s *stream) Addr() net.Addr { return s.addr }

// Accept returns at once, whoever it is who connects: who is slow to show a
// certificate holds up nobody but itself.
func (s *stream) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil || s.identity == nil {
		return c, err
	}
	return s.keep(tls.Server(c, s.identity.Server(false, pki.Coordinator))), nil
}

// Dial connects to another coordinator.
func (s *stream) Dial(to raft.ServerAddress, patience time.Duration) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", string(to), patience)
	if err != nil || s.identity == nil {
		return c, err
	}
	return s.keep(tls.Client(c, s.identity.Client(pki.Coordinator))), nil
}

func (s *stream) keep(c *tls.Conn) *shaken {
	k := &shaken{Conn: c, of: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[k] = true
	return k
}

// expel ends the connections of coordinators that were revoked.
func (s *stream) expel() {
	s.mu.Lock()
	var all []*shaken
	for k := range s.open {
		all = append(all, k)
	}
	s.mu.Unlock()
	for _, k := range all {
		if name, ok := k.peer(); ok && s.identity.Revoked(name) {
			k.Close()
		}
	}
}

// shaken is a connection that shakes hands before anything else, within dialTimeout.
type shaken struct {
	*tls.Conn
	of   *stream
	once sync.Once
	err  error
}

// peer is who is at the other end, once that is known.
func (c *shaken) peer() (pki.Name, bool) {
	certs := c.Conn.ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return pki.Name{}, false
	}
	name, err := pki.NameOf(certs[0])
	return name, err == nil
}

// Close ends it.
func (c *shaken) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.NetConn().Close() // without a word: whoever does not read cannot hold this up
}

// Read reads, once the other side has shown who it is.
func (c *shaken) Read(p []byte) (int, error) {
	if err := c.shake(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write writes, once the other side has shown who it is.
func (c *shaken) Write(p []byte) (int, error) {
	if err := c.shake(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *shaken) shake() error {
	c.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
		defer cancel()
		if c.err = c.Conn.HandshakeContext(ctx); c.err != nil {
			c.Close()
		}
	})
	return c.err
}
