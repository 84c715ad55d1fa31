package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"carillon/job"
	"carillon/pki"
	"carillon/roster"
)

// HubConfig is what a Hub needs. Listen and Log are required.
type HubConfig struct {
	Listen    string        // a coordinator that restarts keeps its port
	Advertise string        // host under which others reach it; "": as it listens
	Identity  *pki.Identity // nil: only on loopback, and nothing is encrypted
	Certifies bool          // machines without a certificate may ask for one
	Log       *slog.Logger
}

// Hub is a coordinator's end of the control plane: its own server, to which
// the Controls of nodes and of users connect, and at which nodes talk to each other of
// which one cannot be connected to. Hubs are not clustered. It is safe for concurrent use.
type Hub struct {
	cfg     HubConfig
	gate    *gate
	srv     *server.Server
	nc      *nats.Conn     // in-process, where Controls are
	events  *nats.Conn     // in-process, to the server's system account
	callers sync.WaitGroup // handlers that are running

	mu     sync.Mutex // guards the fields below
	closed bool
	beat   func(Beat) Answer
	gone   func(job.NodeID)
}

// Serve starts a coordinator's server. Beats that come before HandleBeat are
// answered as by a coordinator that knows of no leader.
func Serve(cfg HubConfig) (*Hub, error) {
	g := &gate{identity: cfg.Identity, permit: cfg.permit, roles: []pki.Role{pki.Node, pki.User, pki.Coordinator}, anyone: cfg.Certifies}
	srv, err := startServer(cfg.Listen, g, cfg.Log, func(o *server.Options) {
		o.NoSystemAccount = false // it tells of lost connections
		// What is for a node that is reached here may take longer than one write may: it is
		// cut off only when nothing gets through at all.
		o.WriteTimeout = server.WriteTimeoutPolicyRetry
	})
	if err != nil {
		return nil, err
	}
	h := &Hub{cfg: cfg, gate: g, srv: srv}
	if err := h.connect(); err != nil {
		h.Close()
		return nil, fmt.Errorf("connect to the own server: %w", err)
	}
	h.subscribe(h.nc, beatSubject("*"), h.answer)
	h.subscribe(h.events, "$SYS.ACCOUNT.*.DISCONNECT", h.disconnected)
	return h, nil
}

func (h *Hub) connect() (err error) {
	own := []nats.Option{nats.InProcessServer(h.srv), silent, nats.NoReconnect(), nats.FlusherTimeout(writePatience)}
	if h.nc, err = nats.Connect("", append(own, nats.Token(h.gate.secret))...); err != nil {
		return err
	}
	h.events, err = nats.Connect("", append(own, nats.Token(h.gate.secret+eventsSuffix))...)
	return err
}

// permit is what a client may do at a coordinator.
func (c HubConfig) permit(who pki.Name, self string) *server.Permissions {
	visits := strings.HasPrefix(self, visitor)
	switch who.Role {
	case pki.Node:
		if name, ok := strings.CutPrefix(self, linked); ok && speaksAs(who, job.NodeID(name)) {
			return relay(job.NodeID(name))
		}
		if speaksAs(who, job.NodeID(self)) {
			return may(self, []string{beatSubject(job.NodeID(self)), renewSubject(who.Name)}, []string{rosterSubject("*")})
		}
	case pki.User:
		if visits {
			return may(self, []string{controlPrefix + string(Users) + ".*"}, nil)
		}
	case pki.Coordinator:
		if visits {
			return may(self, []string{controlPrefix + string(Users) + ".*", controlPrefix + string(Voters) + ".*"}, nil)
		}
	case "":
		if visits && c.Certifies {
			return may(self, []string{joinSubject}, nil)
		}
	}
	return nil
}

// Expel ends the connections of names that were revoked.
func (h *Hub) Expel() {
	if h.cfg.Identity != nil {
		h.gate.expel(h.cfg.Identity.Revoked)
	}
}

// Refused counts what was refused so far: connections, and messages to where their
// sender may not speak.
func (h *Hub) Refused() uint64 { return h.gate.Refused() }

func (h *Hub) subscribe(nc *nats.Conn, subject string, fn func(*nats.Msg)) {
	_, err := nc.Subscribe(subject, func(m *nats.Msg) {
		if h.enter() {
			defer h.callers.Done()
			fn(m)
		}
	})
	if err == nil {
		err = nc.FlushTimeout(writePatience)
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		h.cfg.Log.Error("subscribe to the own server", "subject", subject, "error", err)
	}
}

func (h *Hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.callers.Add(1)
	}
	return !h.closed
}

// Addr is the URL of the hub's server, for Controls to connect to.
func (h *Hub) Addr() string { return advertised(h.srv, h.cfg.Advertise) }

// HandleBeat answers beats with fn, one at a time.
func (h *Hub) HandleBeat(fn func(Beat) Answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beat = fn
}

// HandleGone calls fn with the node of each Control that ends, a few
// milliseconds after its process is killed. A node whose connection only broke
// connects again, and its next beat shows that it lives.
func (h *Hub) HandleGone(fn func(job.NodeID)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = fn
}

// Askers are who may put a request.
type Askers string

// The askers.
const (
	Users  Askers = "ask"   // and coordinators
	Voters Askers = "voter" // coordinators only
)

// Handle answers the users' requests of verb with fn, one at a time. If only the
// leader may answer, fn of another coordinator returns a *NotLeader.
func (h *Hub) Handle(verb string, fn func(payload []byte) ([]byte, error)) {
	h.HandleFrom(Users, verb, fn)
}

// HandleFrom is Handle for other askers.
func (h *Hub) HandleFrom(askers Askers, verb string, fn func(payload []byte) ([]byte, error)) {
	if err := checkToken("verb", verb); err != nil {
		panic(err)
	}
	h.subscribe(h.nc, controlPrefix+string(askers)+"."+verb, func(m *nats.Msg) {
		h.gate.respond(m, visitor, wrapReply(fn(m.Data)))
	})
}

// HandleJoin answers machines that have only a token with fn, one at a time.
func (h *Hub) HandleJoin(fn func(payload []byte) ([]byte, error)) {
	h.subscribe(h.nc, joinSubject, func(m *nats.Msg) { h.gate.respond(m, visitor, wrapReply(fn(m.Data))) })
}

// HandleRenew answers machines whose certificates end soon with fn, one at a time.
// That machine is who asks was made sure of.
func (h *Hub) HandleRenew(fn func(machine string, payload []byte) ([]byte, error)) {
	prefix := len(renewSubject(""))
	h.subscribe(h.nc, renewSubject("*"), func(m *nats.Msg) {
		machine := m.Subject[prefix:] // what asks is a node of that name
		h.gate.respond(m, machine+"-", wrapReply(fn(machine, m.Data)))
	})
}

// Publish sends a job's roster to the job's nodes that are connected here. It
// may be lost; the answer to a beat mends that.
func (h *Hub) Publish(id job.ID, r roster.Roster) error {
	data, err := json.Marshal(r)
	if err == nil {
		err = h.nc.Publish(rosterSubject(id), data)
	}
	if err != nil {
		return fmt.Errorf("publish roster %v: %w", r.Number, err)
	}
	return nil
}

// Close stops the server and waits for the handlers that are running (none may
// call Close).
func (h *Hub) Close() {
	h.mu.Lock()
	closed := h.closed
	h.closed = true
	h.mu.Unlock()
	if closed {
		return
	}
	for _, nc := range []*nats.Conn{h.nc, h.events} {
		if nc != nil {
			nc.Close()
		}
	}
	h.callers.Wait()
	stopServer(h.srv)
}

// answer answers a beat.
func (h *Hub) answer(m *nats.Msg) {
	h.mu.Lock()
	fn := h.beat
	h.mu.Unlock()
	var b Beat
	a := Answer{Version: Version}
	switch err := json.Unmarshal(m.Data, &b); {
	case err != nil:
		a.Refused = fmt.Sprintf("a beat does not parse: %v", err)
	case m.Subject != beatSubject(b.ID):
		a.Refused = fmt.Sprintf("a beat of %s came as that of %s", b.ID, strings.TrimPrefix(m.Subject, beatSubject("")))
	case b.Version != Version:
		a.Refused = fmt.Sprintf("%s speaks version %d, this coordinator %d; run one version of carillon everywhere", b.ID, b.Version, Version)
	case fn != nil:
		a = fn(b)
		a.Version = Version
	}
	data, err := json.Marshal(a)
	if err != nil {
		h.cfg.Log.Error("encode an answer", job.KeyNode, b.ID, "error", err)
		return
	}
	h.gate.respond(m, strings.TrimPrefix(m.Subject, beatSubject(""))+".", data)
}

// isNode says whether a client was a node: one that was refused has a name of its choice,
// and no user.
func (h *Hub) isNode(user string, id job.NodeID) bool {
	if h.cfg.Identity == nil {
		return id != "" && !strings.HasPrefix(string(id), visitor) && !strings.HasPrefix(string(id), linked)
	}
	who, ok := h.gate.admitted(user)
	return ok && speaksAs(who, id)
}

// disconnected reads the server's note that a client has gone.
func (h *Hub) disconnected(m *nats.Msg) {
	var event server.DisconnectEventMsg
	if err := json.Unmarshal(m.Data, &event); err != nil {
		h.cfg.Log.Warn("a disconnect event does not parse", "error", err)
		return
	}
	h.mu.Lock()
	fn := h.gone
	h.mu.Unlock()
	if id := job.NodeID(event.Client.Name); fn != nil && h.isNode(event.Client.User, id) {
		fn(id)
	}
}
