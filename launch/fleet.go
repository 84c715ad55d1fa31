package launch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	gopsprocess "github.com/shirou/gopsutil/v4/process"

	"carillon/backend"
	"carillon/child"
	"carillon/job"
)

// fleet is the processes of a run.
type fleet struct {
	run          *run
	peers        []string // "c1=raft address=hub address", for every coordinator alike
	hubs         []string
	coordinators []*process
	nodes        []*process
	reported     map[*process]bool
}

// startFleet starts the coordinators, the nodes and the joiners of drills.
func startFleet(r *run) (*fleet, error) {
	f := &fleet{run: r, reported: map[*process]bool{}}
	ports, err := child.FreePorts(2 * r.Coordinators)
	if err != nil {
		return nil, err
	}
	for i := range r.Coordinators {
		raft, hub := ports[2*i], ports[2*i+1]
		f.hubs = append(f.hubs, "nats://"+hub)
		f.peers = append(f.peers, fmt.Sprintf("c%d=%s=%s", i+1, raft, hub))
	}
	// The ledger of a run that ended, or was killed, is not gone on with: what
	// counts is in the store, which the new one claims.
	if err := os.RemoveAll(filepath.Join(r.dir, "ledger")); err != nil {
		return nil, err
	}
	for i := range r.Coordinators {
		if err := f.startCoordinator(i); err != nil {
			f.stop()
			return nil, err
		}
	}
	for _, name := range nodeNames(r.Spec, r.Drills) {
		if err := f.startNode(name); err != nil {
			f.stop()
			return nil, err
		}
	}
	return f, nil
}

func (f *fleet) addresses() []string { return f.hubs }

func (f *fleet) startCoordinator(i int) error {
	name := fmt.Sprintf("c%d", i+1)
	p, err := f.start(name, nil, "voter", "--id", name, "--peers", strings.Join(f.peers, ","),
		"--dir", filepath.Join(f.run.dir, "ledger", name), "--store", f.run.at, "--out", f.run.dir)
	if err != nil {
		return err
	}
	if i < len(f.coordinators) {
		f.coordinators[i] = p
	} else {
		f.coordinators = append(f.coordinators, p)
	}
	return nil
}

func (f *fleet) startNode(name string) error {
	args := []string{"--job", string(f.run.Job), "--name", name, "--coordinators", strings.Join(f.hubs, ","), "--cache", filepath.Join(f.run.dir, "cache")}
	for _, d := range f.run.Drills {
		if d.Target != job.Coordinator {
			args = append(args, "--drill", d.String())
		}
	}
	p, err := f.start(name, f.run.nodeEnv(), "trainer", append(args, f.run.NodeFlags...)...)
	if err != nil {
		return err
	}
	f.nodes = append(f.nodes, p)
	return nil
}

func (f *fleet) start(name string, env []string, verb string, args ...string) (*process, error) {
	command := append(append([]string{}, f.run.Command...), verb)
	return start(name, append(command, args...), env, filepath.Join(f.run.dir, LogDir))
}

// manyTrainables is from how many trained numbers on the steps of a node count for
// more than how fast it compiles.
const manyTrainables = 4 << 20

// nodeEnv is what nodes have in their environment beside what this process has.
func (r *run) nodeEnv() []string {
	if r.Kind != backend.CPU || r.base.TrainableSize < manyTrainables {
		return nil
	}
	return backend.SteadyEnv()
}

// Who is asked to end gets this long.
const (
	nodePatience        = 10 * time.Second
	coordinatorPatience = 5 * time.Second
)

// stop ends all processes: nodes first, so that coordinators hear their last beats.
func (f *fleet) stop() {
	for _, p := range f.nodes {
		p.Release()
	}
	for _, p := range f.nodes {
		p.Stop(nodePatience)
	}
	for _, p := range f.coordinators {
		p.Release()
	}
	for _, p := range f.coordinators {
		p.Stop(coordinatorPatience)
	}
}

// weigh notes the most memory that each living node has taken. Who has ended cannot be
// asked, so it is called again and again.
func (f *fleet) weigh() {
	for _, p := range f.nodes {
		if !p.Running() {
			continue
		}
		child, err := gopsprocess.NewProcess(int32(p.Pid()))
		if err != nil {
			continue
		}
		if m, err := child.MemoryInfo(); err == nil {
			p.peak = max(p.peak, int64(max(m.HWM, m.RSS)))
		}
	}
}

// peak returns the most memory that a node has taken, in bytes; 0 where the system
// does not tell.
func (f *fleet) peak() (most int64) {
	if f == nil { // elsewhere
		return 0
	}
	for _, p := range f.nodes {
		most = max(most, p.peak)
	}
	return most
}

// ended returns the nodes that have ended.
func (f *fleet) ended() []*process {
	return slices.DeleteFunc(slices.Clone(f.nodes), func(p *process) bool { return p.Running() })
}

// quickDeath is how soon after its start a coordinator must not end again: what
// ended it then would end it for ever, such as a port that is taken.
const quickDeath = 2 * time.Second

// tend looks after the processes: it tells of nodes that have ended, unless they
// told why themselves, which is among errs; and it starts coordinators again. It
// errs where that is of no use.
func (f *fleet) tend(ended []*process, errs []string, note func(string)) error {
	for _, p := range ended {
		told := slices.ContainsFunc(errs, func(e string) bool { return strings.HasPrefix(e, p.Name+"-") })
		if p.Err() != nil && !told && !f.reported[p] {
			note(fmt.Sprintf("%s has ended: %v (log: %s)", p.Name, p.Err(), p.log))
		}
		f.reported[p] = true
	}
	for i, p := range f.coordinators {
		switch {
		case p.Running():
			continue
		case p.again && time.Since(p.Began) < quickDeath:
			return fmt.Errorf("coordinator %s ends as often as it is started: %s", p.Name, p.lastWords())
		}
		note(fmt.Sprintf("coordinator %s has ended (%v); starting it again", p.Name, p.Err()))
		if err := f.startCoordinator(i); err != nil {
			return err
		}
		f.coordinators[i].again = true
	}
	return nil
}

// whileCoordinated returns a context that ends when no majority of the
// coordinators is left, with the last words of one as the cause.
func (f *fleet) whileCoordinated(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watchers sync.WaitGroup
	for _, p := range f.coordinators {
		watchers.Go(func() {
			select {
			case <-p.Done():
				if f.coordinated() {
					return
				}
				cancel(fmt.Errorf("coordinator %s has ended: %s", p.Name, p.lastWords()))
			case <-ctx.Done():
			}
		})
	}
	return ctx, func() { cancel(nil); watchers.Wait() }
}

// coordinated says whether a majority of the coordinators runs.
func (f *fleet) coordinated() bool {
	living := slices.DeleteFunc(slices.Clone(f.coordinators), func(p *process) bool { return !p.Running() })
	return 2*len(living) > len(f.coordinators)
}

// killed says whether a node was ended by a signal.
func (f *fleet) killed(name string) bool {
	for _, p := range f.nodes {
		if p.Name == name && !p.Running() {
			return p.Killed()
		}
	}
	return false
}

// obituary tells the last words of the processes that ended with an error.
func (f *fleet) obituary() string {
	var b strings.Builder
	for _, p := range append(append([]*process{}, f.coordinators...), f.nodes...) {
		if !p.Running() && p.Err() != nil {
			fmt.Fprintf(&b, "; %s: %s", p.Name, p.lastWords())
		}
	}
	return b.String()
}
