// Package agent offers a machine to a cluster: for each of its devices it runs one node
// process at the job that the cluster works on, one job after another.
//
// # How
//
// The agent beats to the coordinators like a node, with no job. The answers tell it the
// current one; it starts a child for each device and waits for them to end with the job.
// The certificate that it got with a token is its children's too.
//
// # Failure
//
// A child that dies is started again, as a new node, after a pause that grows. The
// agent's children end when it does, a SIGKILL included. Without coordinators it waits.
//
// # Who decides
//
// The coordinators. SIGTERM, a cloud's notice and carillon drain are one and the same:
// every child is told to leave, the others take its lanes over at a step's end, and the
// agent ends when all have gone.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"carillon/backend"
	"carillon/job"
	"carillon/pki"
	"carillon/spot"
	"carillon/wire"
)

// Config is what a machine is offered with.
type Config struct {
	Name         string    // of the machine
	Coordinators []string  // URLs; empty: those of the token
	Token        string    // for a certificate, where there is none yet
	TLS          pki.Files // of a certificate that somebody else looks after; empty: its own in Dir
	Dir          string    // what it keeps: certificate, shards, base models
	Listen       string    // host:port of the first device; the others have the next ports. "": see Run
	Advertise    string    // host under which other nodes reach this machine; "": found out
	Hub          bool      // nothing listens here: other nodes reach this machine through a coordinator
	Devices      []Device
	Backend      backend.Options // Name is the devices' own
	Command      []string        // this program: executable and arguments before the verb
	Cloud        spot.Cloud
	Output       io.Writer // of the children, line by line
	Log          *slog.Logger
}

// Agent is a running one.
type Agent struct {
	cfg      Config
	id       job.NodeID
	log      *slog.Logger
	identity *pki.Identity // nil on loopback
	control  *wire.Control
	out      *lines

	heard, complained time.Time // used by run alone

	leaving chan struct{} // closed when it is to leave
	once    sync.Once

	mu     sync.Mutex // guards the fields below
	state  string
	atRisk bool
	work   *work // nil between jobs
}

const (
	// beatEvery is how often a machine reports.
	beatEvery = 500 * time.Millisecond
	// leavePatience is how long the children may take to leave, and then to end. Clouds
	// give 30 seconds.
	leavePatience = 24 * time.Second
	// lastPatience bounds the last beat.
	lastPatience = time.Second
)

// PIDFile holds the agent's process number, in its folder.
const PIDFile = "node.pid"

// Run offers the machine until it has left, as leave says and a cloud or the
// coordinators may. Where it listens and what is not said of that depends on its
// certificate: with one it is every address at wire.NodePort and the ports after it,
// without one loopback and any free port.
func Run(ctx context.Context, cfg Config, leave <-chan string) error {
	a := &Agent{cfg: cfg, id: job.NewNodeID(cfg.Name), log: cfg.Log, out: &lines{w: cfg.Output}, leaving: make(chan struct{}), state: "starting"}
	unlock, err := a.lock()
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go a.heedNotices(ctx, leave)
	if err := a.open(ctx); err != nil {
		if a.isLeaving() {
			return nil // before it had joined
		}
		return err
	}
	defer a.control.Close()
	go a.renew(ctx)
	a.heard = time.Now()
	a.log.Info("waiting for a job", "machine", cfg.Name, "devices", a.deviceNames(), "coordinators", strings.Join(a.coordinators(), ","))
	return a.run(ctx)
}

// lock makes sure that no other agent uses the folder, and tells the process's number.
func (a *Agent) lock() (unlock func(), err error) {
	if err := os.MkdirAll(a.cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(a.cfg.Dir, "lock"))
	switch ok, err := l.TryLock(); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%s: another carillon node is running with this folder; give each its own --dir", a.cfg.Dir)
	}
	pid := filepath.Join(a.cfg.Dir, PIDFile)
	err = os.WriteFile(pid, []byte(strconv.Itoa(os.Getpid())), 0o600)
	return func() { os.Remove(pid); l.Unlock() }, err
}

// heedNotices waits for the first reason to leave.
func (a *Agent) heedNotices(ctx context.Context, leave <-chan string) {
	go spot.Watch(ctx, a.cfg.Cloud, func(n spot.Notice) {
		a.log.Warn("notice", "notice", n.String())
		if n.Leave {
			a.leave(n.String())
			return
		}
		a.mu.Lock()
		a.atRisk = true // the next beat says so, and the job is saved
		a.mu.Unlock()
	})
	select {
	case why := <-leave:
		a.leave(why)
	case <-ctx.Done():
	}
}

func (a *Agent) leave(why string) {
	a.once.Do(func() {
		a.log.Info("leaving", "why", why)
		close(a.leaving)
	})
}

func (a *Agent) isLeaving() bool {
	select {
	case <-a.leaving:
		return true
	default:
		return false
	}
}

// open finds out who this machine is, and begins to look for the coordinators. A reason
// to leave ends it.
func (a *Agent) open(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer a.onLeave(func() { cancel(errLeft) })()
	if len(a.coordinators()) == 0 {
		return errors.New("no coordinators: --coordinators, or a token, says where they are")
	}
	if a.identity, err = a.identify(ctx); err != nil {
		return err
	}
	cc := wire.ControlConfig{Coordinators: a.coordinators(), Self: a.id, Log: a.log}
	if a.identity != nil {
		cc.TLS = a.identity.Client(pki.Coordinator)
	}
	if err := a.address(); err != nil {
		return err
	}
	a.control, err = wire.Dial(cc)
	return err
}

var errLeft = errors.New("asked to leave before it had joined")

// onLeave calls fn once when the agent is to leave, unless stop was called before.
func (a *Agent) onLeave(fn func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		select {
		case <-a.leaving:
			fn()
		case <-done:
		}
	}()
	return sync.OnceFunc(func() { close(done) })
}

// coordinators are their URLs.
func (a *Agent) coordinators() []string {
	if len(a.cfg.Coordinators) > 0 || a.cfg.Token == "" {
		return a.cfg.Coordinators
	}
	t, err := pki.ParseToken(a.cfg.Token)
	if err != nil {
		return nil
	}
	urls, _ := wire.HubURLs(strings.Join(t.Coordinators, ",")) // checked when it was made
	return urls
}

// address fills in where the nodes listen, and how others reach them.
func (a *Agent) address() (err error) {
	if a.cfg.Hub {
		return nil
	}
	if a.identity == nil {
		if a.cfg.Listen == "" {
			a.cfg.Listen = "127.0.0.1:0"
		}
		return nil
	}
	if a.cfg.Listen == "" {
		a.cfg.Listen = ":" + strconv.Itoa(wire.NodePort)
	}
	host, _, err := net.SplitHostPort(a.cfg.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q: %w; want host:port", a.cfg.Listen, err)
	}
	if ip := net.ParseIP(host); a.cfg.Advertise == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		a.cfg.Advertise, err = wire.OwnHost(a.coordinators()[0])
	}
	return err
}

func (a *Agent) deviceNames() (names []string) {
	for _, d := range a.cfg.Devices {
		names = append(names, d.Name)
	}
	return names
}

// run beats, and works at what the answers say, until it has left.
func (a *Agent) run(ctx context.Context) error {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	leaving, deadline := a.leaving, (<-chan time.Time)(nil)
	for {
		answer, heard := a.beat(ctx, deadline != nil)
		a.turnTo(ctx, answer, heard && deadline == nil)
		select {
		case <-ctx.Done():
			a.endWork()
			return nil
		case <-leaving:
			leaving, deadline = nil, time.After(leavePatience)
			a.sendAway()
		case <-deadline:
			a.log.Warn("not everybody was let go in time: leaving all the same")
			a.endWork()
		case <-tick.C:
		}
		if deadline != nil && a.idle() {
			a.beat(ctx, true)
			return nil
		}
	}
}

// beat reports and returns the answer of the leader, if there is one.
func (a *Agent) beat(ctx context.Context, leaving bool) (wire.Answer, bool) {
	ctx, cancel := context.WithTimeout(ctx, lastPatience)
	defer cancel()
	host, _ := os.Hostname()
	a.mu.Lock()
	b := wire.Beat{ID: a.id, Name: a.cfg.Name, Host: host, PID: os.Getpid(), Devices: a.deviceNames(), State: a.state, AtRisk: a.atRisk, Leaving: leaving}
	a.mu.Unlock()
	answer, err := a.control.Beat(ctx, b)
	if err != nil {
		a.complain(err)
		return wire.Answer{}, false
	}
	a.heard, a.complained = time.Now(), time.Time{}
	if a.identity != nil {
		a.identity.RevokeAll(answer.Revoked)
	}
	if answer.Drain {
		a.leave("drained by a user")
	}
	if answer.Refused != "" {
		a.log.Error("refused", "why", answer.Refused)
	}
	return answer, true
}

// complainAfter is how long nobody may answer before it is said, and again after it was.
const complainAfter = 10 * time.Second

// complain tells why nobody answers.
func (a *Agent) complain(err error) {
	if now := time.Now(); now.Sub(a.heard) > complainAfter && now.Sub(a.complained) > 6*complainAfter {
		a.complained = now
		a.log.Warn("no coordinator answers; trying again", "error", err)
	}
}

// sendAway tells every child to leave.
func (a *Agent) sendAway() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = "leaving"
	if a.work != nil {
		a.work.sendAway()
	}
}

// idle says whether no child is left.
func (a *Agent) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.work == nil || a.work.over()
}

// endWork ends the children that are left.
func (a *Agent) endWork() {
	a.mu.Lock()
	w := a.work
	a.mu.Unlock()
	if w != nil {
		w.end()
	}
}

// turnTo begins the work at a job, once that at the one before is over.
func (a *Agent) turnTo(ctx context.Context, answer wire.Answer, willing bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.work != nil && a.work.over() {
		a.work, a.state = nil, "idle"
	}
	current := job.ID("")
	if answer.Job != nil {
		current = answer.Job.ID
	}
	switch {
	case !willing || a.work != nil && a.work.job == current:
	case a.work != nil:
		a.work.last() // its children end with their job
	case current != "":
		a.work, a.state = a.begin(ctx, *answer.Job), "working"
	default:
		a.state = "idle"
	}
}
