package wire

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"carillon/job"
	"carillon/roster"
)

const (
	// redialPause is the time between two attempts to reach a coordinator.
	redialPause = 100 * time.Millisecond
	// redialPatience bounds one such attempt.
	redialPatience = 500 * time.Millisecond
	// beatPatience is how long a coordinator may take over a beat before the
	// next one is tried: longer than any of its pauses, and short enough for a
	// stopped leader not to use up the caller's time.
	beatPatience = 300 * time.Millisecond
	// requestPatience is the same for a request, which may have to be agreed on.
	requestPatience = 5 * time.Second
)

// ErrNoLeader is returned by Beat and Request when no coordinator that can be
// reached leads, or knows who does. The next attempt may succeed.
var ErrNoLeader = errors.New("no coordinator leads")

// ControlConfig is what a Control needs.
type ControlConfig struct {
	Coordinators []string    // URLs of their hubs, at least one
	Job          job.ID      // whose rosters to listen to; "" for none
	Self         job.NodeID  // "" for who is no node
	TLS          *tls.Config // nil: nothing is encrypted
	Log          *slog.Logger
}

// Control is a process's end of the control plane: a connection to every
// coordinator, which comes back by itself. It is safe for concurrent use.
type Control struct {
	cfg     ControlConfig
	name    string // as the coordinators' servers know it
	hubs    []*hubConn
	rosters chan roster.Roster

	mu     sync.Mutex // guards the fields below
	leader int        // index in hubs of whoever led last
	newest job.RosterNumber
}

// hubConn is a connection to one coordinator.
type hubConn struct {
	addr string
	nc   *nats.Conn
	raw  *killer
	last atomic.Pointer[error] // why it could not be reached
}

// silent keeps nats.go from printing errors, and the last one of them for why.
func (h *hubConn) silent() nats.Option {
	return func(o *nats.Options) error {
		o.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) { h.last.Store(&err) }
		o.ReconnectErrCB = func(_ *nats.Conn, err error) { h.last.Store(&err) }
		return nil
	}
}

// connectPatience is how long a request to everybody waits for a connection.
const connectPatience = time.Second

func (h *hubConn) awaitConnection(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	for !h.nc.IsConnected() && pause(ctx, connectPatience/50) {
	}
}

// why says why there is no connection, as far as it is known.
func (h *hubConn) why() error {
	if err := h.last.Load(); err != nil {
		return fmt.Errorf("not connected: %w", *err)
	}
	return errors.New("not connected")
}

// Dial begins to connect to all coordinators and does not wait for any: who
// cannot be reached is tried again until Close.
func Dial(cfg ControlConfig) (*Control, error) {
	if len(cfg.Coordinators) == 0 {
		return nil, errors.New("dial coordinators: the list of their addresses is empty")
	}
	c := &Control{cfg: cfg, name: cmp.Or(string(cfg.Self), visitor+rand.Text()), rosters: make(chan roster.Roster, 1)}
	for _, addr := range cfg.Coordinators {
		h := &hubConn{addr: addr, raw: &killer{patience: redialPatience, ended: func(error) {}}}
		if err := c.dial(h); err != nil {
			c.Close()
			return nil, fmt.Errorf("dial coordinator %s: %w", addr, err)
		}
		c.hubs = append(c.hubs, h)
	}
	return c, nil
}

func (c *Control) dial(h *hubConn) (err error) {
	h.nc, err = nats.Connect(h.addr, append(secure(c.cfg.TLS), h.silent(), nats.Name(c.name), nats.CustomInboxPrefix(inboxOf(c.name)), nats.SetCustomDialer(h.raw), nats.Timeout(redialPatience),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(redialPause), nats.ReconnectJitter(0, 0), nats.IgnoreAuthErrorAbort(),
		nats.IgnoreDiscoveredServers(), nats.ReconnectBufSize(-1), nats.FlusherTimeout(redialPatience))...)
	if err != nil || c.cfg.Job == "" {
		return err
	}
	_, err = h.nc.Subscribe(rosterSubject(c.cfg.Job), c.published)
	return err
}

// Rosters gives the newest roster that any coordinator has published since it
// was last read. A roster that a newer one overtakes is not delivered.
func (c *Control) Rosters() <-chan roster.Roster { return c.rosters }

func (c *Control) published(m *nats.Msg) {
	var r roster.Roster
	if err := json.Unmarshal(m.Data, &r); err != nil {
		c.cfg.Log.Warn("a roster does not parse", "error", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.newest.Less(r.Number) {
		return // another coordinator was faster
	}
	c.newest = r.Number
	select {
	case <-c.rosters:
	default:
	}
	c.rosters <- r // has room: only this function sends, with c.mu held
}

// Beat reports to the leader and returns its answer. If no leader can be found
// the error is ErrNoLeader, and the answer is that of some other coordinator
// (its Version is 0 if there was none), whose roster is worth heeding too.
func (c *Control) Beat(ctx context.Context, b Beat) (Answer, error) {
	b.Version = Version
	data, err := json.Marshal(b)
	if err != nil {
		return Answer{}, fmt.Errorf("encode beat: %w", err)
	}
	var answer Answer
	err = c.seek(ctx, beatPatience, beatSubject(b.ID), data, func(reply []byte) error {
		var a Answer
		if err := json.Unmarshal(reply, &a); err != nil {
			return fmt.Errorf("an answer does not parse: %w", err)
		}
		answer = a
		if !a.Leader && a.Refused == "" {
			return &NotLeader{Addr: a.LeaderAddr}
		}
		return nil
	})
	if err != nil {
		return answer, fmt.Errorf("beat: %w", err)
	}
	return answer, nil
}

// Request puts a user's request to the leader's handler of verb, and waits for a
// leader until ctx ends. A leader that dies in the middle may have done what
// was requested before another is asked, so handlers must bear being asked
// twice. An error of the handler comes back as a *RemoteError.
func (c *Control) Request(ctx context.Context, verb string, payload []byte) (answer []byte, err error) {
	return c.RequestAs(ctx, Users, verb, payload)
}

// RequestAs is Request of other askers.
func (c *Control) RequestAs(ctx context.Context, askers Askers, verb string, payload []byte) ([]byte, error) {
	if err := checkToken("verb", verb); err != nil {
		return nil, err
	}
	answer, err := c.insist(ctx, controlPrefix+string(askers)+"."+verb, payload)
	if err != nil {
		return nil, fmt.Errorf("request %s: %w", verb, err)
	}
	return answer, nil
}

// Join asks for a certificate with a token.
func (c *Control) Join(ctx context.Context, payload []byte) ([]byte, error) {
	return c.insist(ctx, joinSubject, payload)
}

// Renew asks for another certificate for the machine that this is.
func (c *Control) Renew(ctx context.Context, machine string, payload []byte) ([]byte, error) {
	return c.insist(ctx, renewSubject(machine), payload)
}

// insist asks until a leader has answered, or ctx ends.
func (c *Control) insist(ctx context.Context, subject string, payload []byte) (answer []byte, err error) {
	heed := func(reply []byte) (err error) {
		answer, err = openReply(reply)
		return err
	}
	for {
		err = c.seek(ctx, requestPatience, subject, payload, heed)
		if !errors.Is(err, ErrNoLeader) || !pause(ctx, redialPause) {
			break
		}
	}
	return answer, because(ctx, err)
}

// Each puts a user's request to every coordinator that can be reached, leader or not,
// and returns the answers of those who gave one.
func (c *Control) Each(ctx context.Context, askers Askers, verb string, payload []byte) (answers [][]byte, err error) {
	var reasons errorList
	for _, h := range c.hubs {
		h.awaitConnection(ctx)
		reply, err := h.request(ctx, requestPatience, controlPrefix+string(askers)+"."+verb, payload)
		var answer []byte
		if err == nil {
			answer, err = openReply(reply)
		}
		if err != nil {
			reasons = append(reasons, fmt.Errorf("%s: %w", h.addr, err))
			continue
		}
		answers = append(answers, answer)
	}
	if len(reasons) == 0 {
		return answers, nil
	}
	return answers, reasons
}

// pause waits for d and returns true, or false if ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// seek sends data to the coordinator that led last, follows its word on who
// leads, and tries all others before it gives up. It ends when heed, which is
// given each reply, returns anything but a *NotLeader.
func (c *Control) seek(ctx context.Context, patience time.Duration, subject string, data []byte, heed func([]byte) error) error {
	var reasons errorList
	left := c.order()
	for followed := false; len(left) > 0 && ctx.Err() == nil; {
		i := left[0]
		left = left[1:]
		reply, err := c.hubs[i].request(ctx, patience, subject, data)
		if err == nil {
			err = heed(reply)
		}
		var other *NotLeader
		switch {
		case err == nil:
			c.follow(i)
			return nil
		case errors.As(err, &other):
			if j := c.index(other.Addr); j >= 0 && j != i && !followed {
				left = append([]int{j}, slices.DeleteFunc(left, func(k int) bool { return k == j })...)
				followed = true // once: two may each take the other for the leader
			}
		case isRemote(err):
			return err
		}
		reasons = append(reasons, fmt.Errorf("%s: %w", c.hubs[i].addr, err))
	}
	return because(ctx, fmt.Errorf("%w (%w)", ErrNoLeader, reasons))
}

func isRemote(err error) bool {
	var remote *RemoteError
	return errors.As(err, &remote)
}

// order lists all coordinators, whoever led last first.
func (c *Control) order() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	order := make([]int, len(c.hubs))
	for k := range order {
		order[k] = (c.leader + k) % len(order)
	}
	return order
}

func (c *Control) follow(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leader = i
}

func (c *Control) index(addr string) int {
	plain := func(addr string) string { return strings.TrimPrefix(addr, "nats://") }
	return slices.IndexFunc(c.hubs, func(h *hubConn) bool { return plain(h.addr) == plain(addr) })
}

// request sends one request. A coordinator that does not read cannot hold it up
// longer than patience: writes have a deadline of their own. One that dies fails
// it at once: its answer would never come.
func (h *hubConn) request(ctx context.Context, patience time.Duration, subject string, data []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	broken := h.nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		if _, ok := <-broken; ok {
			cancel()
		}
	}()
	defer func() {
		h.nc.RemoveStatusListener(broken) // closes it
		<-watching
	}()
	if !h.nc.IsConnected() {
		return nil, h.why()
	}
	msg, err := h.nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, err
	}
	return msg.Data, nil
}

// Close ends all connections. It does not block, whatever the coordinators do.
func (c *Control) Close() {
	for _, h := range c.hubs {
		h.raw.kill()
		h.nc.Close()
	}
}
