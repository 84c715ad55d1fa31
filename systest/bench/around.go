package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"carillon/job"
	"carillon/roster"
	"carillon/shard"
)

// aroundVerb starts this program as one of the nodes of aroundSection.
const aroundVerb = "around-node"

// order is what such a node is told: first the shard (so that it can open its
// links and say where), then the roster.
type order struct {
	Name   string        `json:"name"`
	Shard  string        `json:"shard"`
	Steps  int           `json:"steps"`
	Roster roster.Roster `json:"roster"`
}

// answer is what it says: where it is, then what each window of steps took.
type answer struct {
	ID   job.NodeID `json:"id"`
	Addr string     `json:"addr"`
	CPU  []float64  `json:"cpu"`  // milliseconds a step, of the whole process
	Wall []float64  `json:"wall"` // the same by the clock
}

// The job: that of the gradient's measurement, a LoRA of 32,768 parameters.
const (
	aroundSize   = 32768
	aroundLanes  = 8
	aroundWindow = 10 // steps of one measurement
)

// aroundSection measures everything of a step but the gradient.
func aroundSection(ctx context.Context, r *report, quick bool, gradient float64) error {
	r.section("Everything around the gradient")
	windows := 40
	if quick {
		windows = 3
	}
	r.say("Batch, scales, quantizing, sum over NATS, AdamW, digest and record of a LoRA of %d parameters, q8, %d lanes, each", aroundSize, aroundLanes)
	r.say("node a process with all its threads counted; medians over %d windows of %d steps. At most 2 ms of CPU a step and", windows, aroundWindow)
	r.say("node is the aim with three nodes, at most 5 %% of a step with one.\n")
	rows := [][]string{{"nodes", "CPU ms a step and node", "ms a step", "of the gradient above"}}
	for _, n := range []int{1, 2, 3} {
		cpu, wall, err := around(ctx, n, windows)
		if err != nil {
			return fmt.Errorf("%d nodes around the gradient: %w", n, err)
		}
		share := "not measured"
		if gradient > 0 {
			share = fmt.Sprintf("%.1f %%", 100*cpu/gradient)
		}
		rows = append(rows, []string{fmt.Sprint(n), fmt.Sprintf("%.2f", cpu), fmt.Sprintf("%.2f", wall), share})
	}
	r.table(rows...)
	return nil
}

// around runs n nodes and returns the medians over their windows.
func around(ctx context.Context, n, windows int) (cpu, wall float64, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "data.shard")
	if _, err := shard.Build(path, shard.Info{Vocab: 1000, Blank: -1}, aroundExamples()); err != nil {
		return 0, 0, err
	}
	var nodes []*aroundChild
	defer func() {
		for _, c := range nodes {
			err = errors.Join(err, c.end())
		}
	}()
	r := roster.Roster{Number: job.RosterNumber{Incarnation: 1, Count: 1}, Kind: roster.Forced, Reason: "bench"}
	lanes := roster.Lanes(aroundLanes, n)
	for i := range n {
		c, err := startAround(ctx)
		if err != nil {
			return 0, 0, err
		}
		nodes = append(nodes, c)
		a, err := c.tell(order{Name: fmt.Sprintf("n%d", i+1), Shard: path, Steps: (windows + 1) * aroundWindow})
		if err != nil {
			return 0, 0, err
		}
		r.Members = append(r.Members, roster.Member{ID: a.ID, Name: a.ID.Name(), Addr: a.Addr, Lanes: lanes[i]})
	}
	for _, c := range nodes { // all at once: they train together
		if err := c.send(order{Roster: r}); err != nil {
			return 0, 0, err
		}
	}
	var cpus, walls []float64
	for _, c := range nodes {
		a, err := c.hear()
		if err != nil {
			return 0, 0, err
		}
		cpus, walls = append(cpus, a.CPU...), append(walls, a.Wall...)
	}
	return median(cpus), median(walls), nil
}

// aroundExamples fills every place of a batch.
func aroundExamples() []shard.Example {
	key := job.NewKey(1, job.ForProbe)
	examples := make([]shard.Example, 500)
	for i := range examples {
		for j := range 128 {
			examples[i].Tokens = append(examples[i].Tokens, int32(key.At(uint64(i*128+j))%1000))
		}
	}
	return examples
}

// aroundChild is a node's process, as its parent sees it.
type aroundChild struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startAround(ctx context.Context) (*aroundChild, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, aroundVerb)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &aroundChild{cmd, in, bufio.NewReader(out)}, cmd.Start()
}

func (c *aroundChild) send(o order) error { return json.NewEncoder(c.in).Encode(o) }

func (c *aroundChild) hear() (a answer, err error) {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("node of the measurement: %w", err)
	}
	return a, json.Unmarshal(line, &a)
}

func (c *aroundChild) tell(o order) (answer, error) {
	if err := c.send(o); err != nil {
		return answer{}, err
	}
	return c.hear()
}

func (c *aroundChild) end() error {
	return errors.Join(c.in.Close(), c.cmd.Wait())
}
