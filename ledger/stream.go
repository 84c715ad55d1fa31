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
	return &stream{l, identity, address(advertised)}, nil
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
	return &shaken{Conn: tls.Server(c, s.identity.Server(false, pki.Coordinator))}, nil
}

// Dial connects to another coordinator.
func (s *stream) Dial(to raft.ServerAddress, patience time.Duration) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", string(to), patience)
	if err != nil || s.identity == nil {
		return c, err
	}
	return &shaken{Conn: tls.Client(c, s.identity.Client(pki.Coordinator))}, nil
}

// shaken is a connection that shakes hands before anything else, within dialTimeout.
type shaken struct {
	*tls.Conn
	once sync.Once
	err  error
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
			c.Conn.Close()
		}
	})
	return c.err
}
