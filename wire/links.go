package wire

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
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
	Hubs      []string      // URLs of coordinators: the node listens nowhere, and is reached through one of them
	Parted    func(error)   // called when that is over; must not block. nil: nobody asks
	Identity  *pki.Identity // nil: only on loopback, and nothing is encrypted
	Log       *slog.Logger
}

// Links is a node's end of the data plane: its own server, or its place at a
// coordinator's, and its connections to those of others. It is safe for concurrent use.
type Links struct {
	cfg  Config
	hash uint64 // of the job's id, as frames carry it
	gate *gate
	srv  *server.Server // nil with Hubs
	nc   *nats.Conn     // to srv, in-process, or to the coordinator
	addr string         // of the latter

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

// Open starts the node's server, or takes its place at a coordinator's, and listens to it.
func Open(cfg Config) (*Links, error) {
	if err := errors.Join(checkToken("job id", string(cfg.Job)), checkToken("node id", string(cfg.Self))); err != nil {
		return nil, err
	}
	g := &gate{identity: cfg.Identity, roles: []pki.Role{pki.Node}, permit: cfg.permit}
	l := &Links{
		cfg: cfg, hash: job.NameWord(string(cfg.Job)), gate: g,
		verbs: map[string]bool{}, questions: map[Peer]*link{}, links: map[Peer]*link{}, retired: map[*link]bool{},
	}
	if err := l.takePlace(); err != nil {
		return nil, err
	}
	greet := len(greetSubject(cfg.Job, cfg.Self, ""))
	l.subscribe(greetSubject(cfg.Job, cfg.Self, "*"), func(m *nats.Msg) {
		g.respond(m, m.Subject[greet:]+".", binary.LittleEndian.AppendUint16(nil, Version))
	})
	prefix := len(frameSubject(cfg.Job, cfg.Self, ""))
	l.subscribe(frameSubject(cfg.Job, cfg.Self, "*"), func(m *nats.Msg) { l.receive(job.NodeID(m.Subject[prefix:]), m.Data) })
	return l, nil
}

// takePlace makes the place where others reach this node.
func (l *Links) takePlace() (err error) {
	if len(l.cfg.Hubs) > 0 {
		return l.stayAt(l.cfg.Hubs)
	}
	if l.srv, err = startServer(l.cfg.Listen, l.gate, l.cfg.Log, nil); err != nil {
		return err
	}
	l.nc, err = nats.Connect("", nats.InProcessServer(l.srv), nats.Token(l.gate.secret), silent, nats.Name(string(l.cfg.Self)), nats.NoReconnect(), nats.FlusherTimeout(writePatience))
	if err != nil {
		stopServer(l.srv)
		return fmt.Errorf("connect to the own server: %w", err)
	}
	return nil
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

// client is how this node connects to another: to its server, which must be its own, or
// to the coordinator's where it is.
func (c Config) client(to Peer) (url string, opts []nats.Option) {
	if hub, ok := strings.CutPrefix(to.Addr, relayed); ok {
		return "nats://" + hub, append(c.trust(nil, pki.Coordinator), nats.Name(linked+string(c.Self)))
	}
	its := func(s tls.ConnectionState) error {
		if who, ok := clientName(&s); !ok || !speaksAs(who, to.ID) {
			return fmt.Errorf("%w: %s answers there, not %s", pki.ErrRefused, who, to.ID)
		}
		return nil
	}
	return to.Addr, append(c.trust(its, pki.Node), nats.Name(string(c.Self)))
}

// Expel ends the connections of machines that were revoked, and the stay at a coordinator
// that was.
func (l *Links) Expel() {
	if l.cfg.Identity != nil && l.srv == nil {
		l.partFrom(l.cfg.Identity.Revoked)
	} else if l.cfg.Identity != nil {
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
		l.cfg.Log.Error("subscribe to where others reach this node", "subject", subject, "error", err)
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

// Addr is where others connect to reach this node: the URL of its own server, or hub://
// and the address of a coordinator's.
func (l *Links) Addr() string {
	if l.srv == nil {
		return l.addr
	}
	return advertised(l.srv, l.cfg.Advertise)
}

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
	if l.srv != nil {
		stopServer(l.srv)
	}
}
