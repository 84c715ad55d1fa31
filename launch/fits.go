package launch

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v4/mem"

	"carillon/backend"
)

// Machine is the memory that there is, in bytes; 0: not known, and not checked.
type Machine struct {
	Host   int64
	Device int64 // of what computes, where that has memory of its own
}

// ThisMachine is the memory of the machine, or what a container is given of it, and of
// the device that a kind of backend computes on.
func ThisMachine(ctx context.Context, kind string) Machine {
	m := Machine{Device: backend.DeviceBytes(ctx, kind)}
	if v, err := mem.VirtualMemory(); err == nil {
		m.Host = int64(v.Total)
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && limit > 0 {
			m.Host = min(m.Host, limit)
		}
	}
	return m
}

// TooLarge says that a job does not fit a machine.
type TooLarge struct {
	What       string // whose memory it is
	Want, Have int64
	Largest    Part  // of a node
	Bytes      int64 // of it
	Cure       string
}

// Error says so in one line, with the largest part of a node and what to change.
func (e *TooLarge) Error() string {
	return fmt.Sprintf("the job needs about %s of the %s memory, which has %s; most of a node's is %s, %s: %s, or start it all the same with --force",
		bytes(e.Want), e.What, bytes(e.Have), e.Largest.Name, bytes(e.Bytes), e.Cure)
}

// Check returns a *TooLarge where a machine has less memory than the job takes. It
// takes most while all nodes are there: who is lost leaves its lanes to the others,
// and all else that it held to nobody.
func (j Plan) Check(m Machine) error {
	e := j.Predict().check(m)
	if e == nil {
		return nil
	}
	e.Cure = "use " + e.Largest.Cure
	if e.Largest.Cure == "" {
		e.Cure = "use a larger machine"
	}
	for fewer := j.Spec.Nodes - 1; fewer > 0; fewer-- {
		j.Spec.Nodes = fewer
		if j.Predict().check(m) == nil {
			e.Cure = fmt.Sprintf("use fewer nodes (--nodes %d)", fewer)
			break
		}
	}
	return e
}

// check is Check without what to change.
func (p Prediction) check(m Machine) *TooLarge {
	host, _ := p.Host()
	device, _ := p.Device()
	ofHost := func(q Part) int64 { return q.Host + q.Device }
	if p.Apart {
		ofHost = func(q Part) int64 { return q.Host }
	}
	switch {
	case m.Host > 0 && host > m.Host:
		return p.tooLarge("machine's", host, m.Host, ofHost)
	case m.Device > 0 && device > m.Device:
		return p.tooLarge("device's", device, m.Device, func(q Part) int64 { return q.Device })
	}
	return nil
}

func (p Prediction) tooLarge(what string, want, have int64, size func(Part) int64) *TooLarge {
	most := slices.MaxFunc(p.Node, func(a, b Part) int { return cmp.Compare(size(a), size(b)) })
	return &TooLarge{What: what, Want: want, Have: have, Largest: most, Bytes: size(most)}
}

// unchecked says of which memory nothing is known.
func (p Prediction) unchecked(m Machine) string {
	if p.Apart && m.Device == 0 {
		return "; how much the device has is not known, and not checked"
	}
	return ""
}

// fits shows what the job is predicted to take, and refuses what cannot fit.
func (r *run) fits(ctx context.Context) error {
	p, m := r.plan().Predict(), ThisMachine(ctx, r.Kind)
	err := r.plan().Check(m)
	if err == nil {
		r.View.Note(p.String() + p.unchecked(m))
		return nil
	}
	r.View.Note(p.Table())
	if r.Force {
		r.View.Note("started all the same: " + err.Error())
		return nil
	}
	return err
}

// plan is what of the run decides its memory.
func (r *run) plan() Plan {
	return Plan{Spec: r.Spec, Base: r.base, Coordinators: r.Coordinators, Drills: r.Drills, Kind: r.Kind}
}

// Foresee returns what a job is predicted to take, and the error with which Run would
// refuse it. It writes and starts nothing.
func Foresee(ctx context.Context, cfg Config) (Prediction, error) {
	r, err := newRun(ctx, cfg)
	if err != nil {
		return Prediction{}, err
	}
	p, m := r.plan().Predict(), ThisMachine(ctx, r.Kind)
	r.View.Note(p.String() + p.unchecked(m))
	return p, r.plan().Check(m)
}
