package wire

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"carillon/job"
	"carillon/pki"
)

// ErrClosed is returned by calls on what has been closed: Links, a Mesh, a
// Control. A Mesh is also closed when its Links form the next one.
var ErrClosed = errors.New("closed")

// Config is what Links need. All fields are required unless they say otherwise.
type Config struct {
	Job       job.ID
	Self      job.NodeID
	Listen    string        // of the node's own server: "127.0.0.1:0" for any free port of loopback
	Advertise string        // host under which others reach it; "": as it listens
	Identity  *pki.Identity // nil: only on loopback, and nothing is encrypted
	Log       *slog.Logger
}

// Links is a node's end of the data plane: its own server, and its connections
// to the servers of others. It is safe for concurrent use.
type Links struct {
	cfg  Config
	hash uint64 // of the job's id, as frames carry it
	gate *gate
	srv  *server.Server
	nc   *nats.Conn // to srv, in-process

	dropped atomic.Uint64
	callers sync.WaitGroup // callbacks that are running

	forming sync.Mutex // held by the Form that runs

	mu        sync.Mutex // guards the fields below
	closed    bool
	verbs     map[string]bool
	questions map[Peer]*link
	links     map[Peer]*link // for frames, to the members of mesh
	retired   map[*link]bool // being closed
	mesh      *Mesh          // the one formed last; nil before the first
	early     []frame        // of rosters newer than mesh's, in order of arrival
	earlySize int            // bytes of data in early
}

// Open starts the node's server and listens to it.
func Open(cfg Config) (*Links, error) {
	if err := errors.Join(checkToken("job id", string(cfg.Job)), checkToken("node id", string(cfg.Self))); err != nil {
		return nil, err
	}
	g := &gate{identity: cfg.Identity, roles: []pki.Role{pki.Node}, permit: cfg.permit}
	srv, err := startServer(cfg.Listen, g, cfg.Log, nil)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect("", nats.InProcessServer(srv), nats.Token(g.secret), silent, nats.Name(string(cfg.Self)), nats.NoReconnect(), nats.FlusherTimeout(writePatience))
	if err != nil {
		stopServer(srv)
		return nil, fmt.Errorf("connect to the own server: %w", err)
	}
	l := &Links{
		cfg: cfg, hash: job.NameWord(string(cfg.Job)), gate: g, srv: srv, nc: nc,
		verbs: map[string]bool{}, questions: map[Peer]*link{}, links: map[Peer]*link{}, retired: map[*link]bool{},
	}
	greet := len(greetSubject(cfg.Job, cfg.Self, ""))
	l.subscribe(greetSubject(cfg.Job, cfg.Self, "*"), func(m *nats.Msg) {
		g.respond(m, m.Subject[greet:]+".", binary.LittleEndian.AppendUint16(nil, Version))
	})
	prefix := len(frameSubject(cfg.Job, cfg.Self, ""))
	l.subscribe(frameSubject(cfg.Job, cfg.Self, "*"), func(m *nats.Msg) { l.receive(job.NodeID(m.Subject[prefix:]), m.Data) })
	return l, nil
}

// permit is what a node may do at this one: greet it, and send it frames and questions
// as itself.
func (c Config) permit(who pki.Name, self string) *server.Permissions {
	id := job.NodeID(self)
	if !speaksAs(who, id) {
		return nil
	}
	return may(self, []string{greetSubject("*", "*", id), frameSubject(c.Job, c.Self, id), askSubject(c.Job, c.Self, "*", id)}, nil)
}

// client is how this node connects to another, who must be it.
func (c Config) client(to job.NodeID) []nats.Option {
	if c.Identity == nil {
		return nil
	}
	cfg := c.Identity.Client(pki.Node)
	trusted := cfg.VerifyConnection
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		if err := trusted(s); err != nil {
			return err
		}
		if who, ok := clientName(&s); !ok || !speaksAs(who, to) {
			return fmt.Errorf("%w: %s answers there, not %s", pki.ErrRefused, who, to)
		}
		return nil
	}
	return secure(cfg)
}

// Expel ends the connections of machines that were revoked.
func (l *Links) Expel() {
	if l.cfg.Identity != nil {
		l.gate.expel(l.cfg.Identity.Revoked)
	}
}

// Refused counts what was refused so far: connections, and messages to where their
// sender may not speak.
func (l *Links) Refused() uint64 { return l.gate.Refused() }

// subscribe calls fn for each message on subject, in one goroutine, until the
// Links are closed. On return the server knows of it.
func (l *Links) subscribe(subject string, fn func(*nats.Msg)) {
	sub, err := l.nc.Subscribe(subject, func(m *nats.Msg) {
		if l.enter() {
			defer l.callers.Done()
			fn(m)
		}
	})
	if err == nil {
		// nats.go drops what a slow callback leaves waiting. Credits bound it instead.
		err = sub.SetPendingLimits(-1, -1)
	}
	if err == nil {
		err = l.nc.FlushTimeout(writePatience)
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		l.cfg.Log.Error("subscribe to the own server", "subject", subject, "error", err)
	}
}

// enter counts a callback in, unless the Links are closed.
func (l *Links) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.callers.Add(1)
	}
	return !l.closed
}

// Addr is the URL of the node's own server, for others to connect to.
func (l *Links) Addr() string { return advertised(l.srv, l.cfg.Advertise) }

// advertised is a server's URL under the name that others have for its machine.
func advertised(srv *server.Server, host string) string {
	addr, ok := srv.Addr().(*net.TCPAddr)
	if !ok {
		return "" // it is being stopped
	}
	if host == "" {
		host = addr.IP.String()
	}
	return "nats://" + net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

// Dropped counts the frames that were dropped unread so far: of another job, of
// an older roster, step or attempt, or for a mesh that had ended.
func (l *Links) Dropped() uint64 { return l.dropped.Load() }

// Close ends the mesh and all connections, waits for the handlers that are
// running (a handler must not call Close), and stops the server.
func (l *Links) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	mesh, all := l.mesh, make([]*link, 0, len(l.links)+len(l.questions))
	for _, k := range l.links {
		all = append(all, k)
	}
	for _, k := range l.questions {
		all = append(all, k)
	}
	for k := range l.retired {
		all = append(all, k)
	}
	l.mu.Unlock()
	if mesh != nil {
		mesh.Close()
	}
	for _, k := range all {
		k.close()
	}
	l.nc.Close()
	l.callers.Wait()
	stopServer(l.srv)
}
