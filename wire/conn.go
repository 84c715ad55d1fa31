package wire

import (
	"context"
	"net"
	"sync"
	"time"
)

// rawConn keeps a TCP connection within reach. nats.go writes while it holds
// its own lock, so a Publish to a stopped process blocks whoever calls it, and
// Close then blocks as well; kill ends both at once. A rawConn also tells of
// the connection's end first hand, in the moment in which a read fails.
type rawConn struct {
	net.Conn
	once  sync.Once
	ended func(error) // called once, at the first error; must not block
}

// Read reads, and tells of an error.
func (c *rawConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.end(err)
	}
	return n, err
}

// Write writes, and tells of an error.
func (c *rawConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.end(err)
	}
	return n, err
}

func (c *rawConn) end(err error) { c.once.Do(func() { c.ended(err) }) }

// kill fails reads and writes that are under way, and all later ones.
func (c *rawConn) kill() {
	c.SetDeadline(time.Unix(1, 0))
	c.Close()
}

// killer dials for nats.go and keeps the connection that it made last.
type killer struct {
	patience time.Duration
	ended    func(error)

	mu     sync.Mutex // guards the fields below
	conn   *rawConn
	killed bool
}

// Dial implements nats.CustomDialer.
func (k *killer) Dial(network, addr string) (net.Conn, error) {
	raw, err := net.DialTimeout(network, addr, k.patience)
	if err != nil {
		return nil, err
	}
	c := &rawConn{Conn: raw, ended: k.ended}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.killed {
		c.kill()
		return nil, context.Canceled
	}
	k.conn = c
	return c, nil
}

// kill ends the connection, and each one that is dialed later.
func (k *killer) kill() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.killed = true
	if k.conn != nil {
		k.conn.kill()
	}
}
