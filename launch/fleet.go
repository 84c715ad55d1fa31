package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

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
	ports, err := freePorts(2 * r.Coordinators)
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
	for _, name := range f.nodeNames() {
		if err := f.startNode(name); err != nil {
			f.stop()
			return nil, err
		}
	}
	return f, nil
}

// nodeNames are n1 to nN, and the joiners of drills.
func (f *fleet) nodeNames() []string {
	var names []string
	for i := range f.run.Spec.Nodes {
		names = append(names, fmt.Sprintf("n%d", i+1))
	}
	for _, d := range f.run.Drills {
		if d.Kind == job.Join {
			names = append(names, d.Target)
		}
	}
	return names
}

func (f *fleet) addresses() []string { return f.hubs }

func (f *fleet) startCoordinator(i int) error {
	name := fmt.Sprintf("c%d", i+1)
	p, err := f.start(name, "coordinator", "--id", name, "--peers", strings.Join(f.peers, ","),
		"--dir", filepath.Join(f.run.dir, "ledger", name), "--store", filepath.Join(f.run.dir, StoreDir), "--out", f.run.dir)
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
	p, err := f.start(name, "node", append(args, f.run.NodeFlags...)...)
	if err != nil {
		return err
	}
	f.nodes = append(f.nodes, p)
	return nil
}

func (f *fleet) start(name, verb string, args ...string) (*process, error) {
	command := append(append([]string{}, f.run.Command...), verb)
	return start(name, append(command, args...), filepath.Join(f.run.dir, LogDir))
}

// Who is asked to end gets this long.
const (
	nodePatience        = 10 * time.Second
	coordinatorPatience = 5 * time.Second
)

// stop ends all processes: nodes first, so that coordinators hear their last beats.
func (f *fleet) stop() {
	for _, p := range f.nodes {
		p.hold.Close()
	}
	for _, p := range f.nodes {
		p.stop(nodePatience)
	}
	for _, p := range f.coordinators {
		p.hold.Close()
	}
	for _, p := range f.coordinators {
		p.stop(coordinatorPatience)
	}
}

// tend looks after the processes: it tells of nodes that have ended, starts
// coordinators again, and errs when no node is left.
func (f *fleet) tend(note func(string)) error {
	alive := 0
	for _, p := range f.nodes {
		switch {
		case p.running():
			alive++
		case !f.reported[p]:
			f.reported[p] = true
			if p.err != nil {
				note(fmt.Sprintf("%s has ended: %v (log: %s)", p.name, p.err, p.log))
			}
		}
	}
	for i, p := range f.coordinators {
		if p.running() {
			continue
		}
		note(fmt.Sprintf("coordinator %s has ended (%v); starting it again", p.name, p.err))
		if err := f.startCoordinator(i); err != nil {
			return err
		}
	}
	if alive == 0 {
		return fmt.Errorf("all nodes have ended%s", f.obituary())
	}
	return nil
}

// killed says whether a node was ended by a signal.
func (f *fleet) killed(name string) bool {
	for _, p := range f.nodes {
		if p.name == name && !p.running() {
			return p.cmd.ProcessState != nil && p.cmd.ProcessState.ExitCode() == -1
		}
	}
	return false
}

// obituary tells the last words of the processes that ended with an error.
func (f *fleet) obituary() string {
	var b strings.Builder
	for _, p := range append(append([]*process{}, f.coordinators...), f.nodes...) {
		if !p.running() && p.err != nil {
			fmt.Fprintf(&b, "\n%s: %s", p.name, p.lastWords())
		}
	}
	return b.String()
}
