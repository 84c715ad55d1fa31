package agent

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"carillon/backend"
	"carillon/child"
	"carillon/job"
	"carillon/wire"
)

// work is this machine's part in one job: a child for each device.
type work struct {
	job    job.ID
	cancel context.CancelFunc // of what comes before there are children
	all    sync.WaitGroup
	done   chan struct{} // closed when all of it is over

	mu       sync.Mutex // guards the fields below
	final    bool       // no child is started any more
	children map[int]*child.Process
}

// begin starts the work at a job.
func (a *Agent) begin(ctx context.Context, info wire.JobInfo) *work {
	w := &work{job: info.ID, done: make(chan struct{}), children: map[int]*child.Process{}}
	ctx, w.cancel = context.WithCancel(ctx)
	for i, d := range a.cfg.Devices {
		w.all.Go(func() { a.keepAtWork(ctx, w, i, d, info) })
	}
	go func() { // ends with the children
		w.all.Wait()
		w.cancel()
		close(w.done)
	}()
	return w
}

func (w *work) over() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// lastPause is how long children may take to end by themselves after their job.
const lastPause = 10 * time.Second

// last lets the children end, and starts none again. Who has not ended after a while, as
// one that compiles, is told to leave.
func (w *work) last() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.final {
		time.AfterFunc(lastPause, w.sendAway)
	}
	w.final = true
}

// sendAway tells the children to leave, and starts none any more.
func (w *work) sendAway() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.final = true
	w.cancel()
	for _, p := range w.children {
		p.Signal(syscall.SIGTERM)
	}
}

// end ends the children at once.
func (w *work) end() {
	w.sendAway()
	w.mu.Lock()
	for _, p := range w.children {
		p.Release()
		_ = p.Kill()
	}
	w.mu.Unlock()
	<-w.done
}

// The pauses before a child that died is started again. One that lived for long begins
// anew with the first.
const (
	firstPause = time.Second
	longPause  = 30 * time.Second
	longLife   = time.Minute
)

// keepAtWork runs a device's node until the work is over.
func (a *Agent) keepAtWork(ctx context.Context, w *work, i int, d Device, info wire.JobInfo) {
	for start, pause := 0, firstPause; ; start, pause = start+1, min(2*pause, longPause) {
		began := time.Now()
		err := a.runNode(ctx, w, i, d, info, start)
		if ctx.Err() != nil || w.isFinal() {
			return
		}
		if time.Since(began) > longLife {
			pause = firstPause
		}
		a.log.Warn("a node has ended, and is started again", "node", a.nodeName(i), "error", err, "in", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

func (w *work) isFinal() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.final
}

// nodeName is the machine's, or where it has several devices one of its own.
func (a *Agent) nodeName(i int) string {
	if len(a.cfg.Devices) == 1 {
		return a.cfg.Name
	}
	return fmt.Sprintf("%s%s%d", a.cfg.Name, wire.DeviceMark, i)
}

// runNode runs a device's node once, for the so many-th time.
func (a *Agent) runNode(ctx context.Context, w *work, i int, d Device, info wire.JobInfo, start int) error {
	spec, err := job.DecodeSpec(info.Spec)
	if err != nil {
		return err
	}
	opts := a.cfg.Backend
	opts.Name, opts.Threads = d.Backend, spec.CPUThreads
	choice, err := backend.Choose(ctx, opts)
	if err != nil {
		return err
	}
	a.log.Info("backend", "device", d.Name, "why", choice.Why)
	env := d.Env
	if spec.Method == "full" && choice.Kind == backend.CPU {
		env = append(backend.SteadyEnv(), env...) // its blocks are large
	}
	p, err := a.startNode(w, i, env, info, choice, start)
	if p == nil {
		return err
	}
	<-p.Done()
	w.mu.Lock()
	delete(w.children, i)
	w.mu.Unlock()
	if p.Err() != nil {
		return fmt.Errorf("%s", p.LastWords())
	}
	return nil
}

// startNode starts it, unless the work is over.
func (a *Agent) startNode(w *work, i int, env []string, info wire.JobInfo, c backend.Choice, start int) (*child.Process, error) {
	args, err := a.nodeArgs(i, info, c, start)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.final {
		return nil, nil
	}
	name := a.nodeName(i)
	p, err := child.Start(name, append(append([]string{}, a.cfg.Command...), args...), env, a.out.of(name))
	if err == nil {
		w.children[i] = p
	}
	return p, err
}

// place says where others reach a device's node.
func (a *Agent) place(i int) (args []string, err error) {
	if a.cfg.Hub {
		return []string{"--hub"}, nil
	}
	listen := a.cfg.Listen
	if !strings.HasSuffix(listen, ":0") {
		if listen, err = wire.Beside(listen, i); err != nil {
			return nil, err
		}
	}
	args = []string{"--listen", listen}
	if a.cfg.Advertise != "" {
		args = append(args, "--advertise", a.cfg.Advertise)
	}
	return args, nil
}

// nodeArgs are the arguments of a device's node, with the verb. Each start names another
// coordinator first: the one before may be why it ended.
func (a *Agent) nodeArgs(i int, info wire.JobInfo, c backend.Choice, start int) ([]string, error) {
	place, err := a.place(i)
	if err != nil {
		return nil, err
	}
	args := append([]string{"trainer", "--job", string(info.ID), "--name", a.nodeName(i), "--coordinators", strings.Join(rotated(a.coordinators(), start), ","),
		"--cache", filepath.Join(a.cfg.Dir, "cache"), "--backend", c.Name, "--offline"}, place...)
	if a.identity != nil {
		f := a.certs()
		args = append(args, "--tls-ca", f.CA, "--tls-cert", f.Cert, "--tls-key", f.Key)
	}
	if c.Name != c.Kind {
		args = append(args, "--tried")
	}
	if c.Kind == backend.CPU && len(a.cfg.Devices) > 1 {
		args = append(args, "--weights", filepath.Join(a.cfg.Dir, "weights"))
	}
	return args, nil
}

// rotated begins a list with its n-th element, counted round.
func rotated(list []string, n int) []string {
	n %= max(1, len(list))
	return append(slices.Clone(list[n:]), list[:n]...)
}
