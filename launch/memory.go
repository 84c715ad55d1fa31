package launch

import (
	"fmt"
	"math/bits"
	"strings"

	"carillon/allreduce"
	"carillon/backend"
	"carillon/job"
	"carillon/model"
	"carillon/node"
	"carillon/train"
)

// Part is a part of the memory that a node takes, in bytes.
type Part struct {
	Name   string
	Host   int64  // of the machine
	Device int64  // of what computes, which for the CPU is the machine's as well
	Cure   string // what makes it smaller, for people
}

// Need is the memory that one node takes, by parts.
type Need []Part

// Host is the sum of the machine's memory.
func (n Need) Host() (sum int64) {
	for _, p := range n {
		sum += p.Host
	}
	return sum
}

// Device is the sum of the memory of what computes.
func (n Need) Device() (sum int64) {
	for _, p := range n {
		sum += p.Device
	}
	return sum
}

// What a program takes before it holds a model, measured (docs/memory.md).
const (
	nodeBytes        = 270 << 20 // a node with XLA open, half of it XLA's code
	goBytes          = 60 << 20  // the same without XLA
	operationBytes   = 40 << 10  // of a graph, compiled by XLA
	coordinatorBytes = 60 << 20
)

// unused is by how much a compiler's own use of memory exceeds what lies in it at
// the same time: gaps, and copies in another order.
const unused = 1.15

// need says what each of so many nodes takes.
func (j Plan) need(nodes int) Need {
	s, m, flat := j.Spec, j.Base.Memory, 4*int64(j.Base.TrainableSize)
	lanes := (s.Lanes + nodes - 1) / nodes
	const smaller = "method lora, or a smaller base_model"
	n := Need{
		{Name: "program", Host: j.program()},
		{Name: "base weights that stay as they are", Device: m.Frozen, Cure: "a smaller base_model"},
		{Name: "trained weights", Host: flat, Device: flat, Cure: smaller},
		{Name: "the optimizer's moments", Host: 2 * flat, Cure: smaller},
		{Name: "gradients of " + count(lanes, "lane"), Host: int64(lanes) * flat, Device: flat, Cure: "fewer lanes with a larger micro_batch_size, or method lora"},
		{Name: "sums", Host: j.sums(flat, nodes), Cure: smaller},
		{Name: "copies for checkpoints", Host: int64(node.Copies(s)) * 3 * flat, Cure: smaller},
		{Name: fmt.Sprintf("activations of %d x %d tokens", s.MicroBatchSize, s.SequenceLen), Device: j.activations(), Cure: j.lessActivations()},
	}
	return append(n, Part{Name: "garbage, at most", Host: int64(lag * node.GarbagePercent / 100 * float64(n.Host()-n[0].Host))})
}

// program is what a node takes that has no model yet.
func (j Plan) program() int64 {
	if j.Kind == backend.Go {
		return goBytes
	}
	return nodeBytes + operationBytes*int64(j.Base.Memory.Operations)*int64(max(1, len(j.Spec.Buckets)))
}

func (j Plan) activations() int64 {
	if j.Kind == backend.Go {
		return j.Base.Memory.OneByOne
	}
	return int64(unused * float64(j.Base.Memory.Activations))
}

// sums is what a node holds of the sum of a step: integers, then numbers in their place,
// those of the last steps, packed, for who missed them, and messages.
func (j Plan) sums(flat int64, nodes int) int64 {
	partial := int64(32) // bits of a value on the way, and of a finished one
	if q, err := allreduce.NewQuantizer(allreduce.Codec(j.Spec.Compression), j.Spec.Lanes); err == nil {
		partial = min(32, int64(q.Bits()+bits.Len(uint(j.Spec.Lanes-1))))
	}
	finished := partial
	if j.Spec.Compression == string(allreduce.Q8) {
		finished = 10 // with room for blocks that need more than eight
	}
	sum := flat + int64(train.KeptSums(j.Base.TrainableSize)+1)*flat*finished/32
	if nodes > 1 {
		sum += 2 * flat * partial / 32 // what is sent, and what has come
	}
	return sum
}

func (j Plan) lessActivations() string {
	cure := "a smaller micro_batch_size or sequence_len"
	if !j.Spec.GradientCheckpointing {
		cure += ", or gradient_checkpointing: true"
	}
	return cure
}

// lag is by how much more garbage there is than a node allows itself: its collector
// begins at that bound, and more comes while it looks.
const lag = 1.5

// Plan is what of a job decides the memory that it takes.
type Plan struct {
	Spec         job.Spec // resolved
	Base         model.Facts
	Coordinators int
	Drills       []job.Drill
	Kind         string // of backend
}

// Prediction is what a job is predicted to take of this machine.
type Prediction struct {
	Nodes  int  // processes, those that wait to be let in among them
	Others int  // coordinators
	Left   int  // nodes, when two are lost
	Apart  bool // what computes has memory of its own
	Node   Need // of each
	Lost   Need // of each that is left, when two are lost
}

// Predict says what a job takes. It looks at nothing but the plan.
func (j Plan) Predict() Prediction {
	nodes := max(1, j.Spec.Nodes)
	left := max(1, nodes-2, min(j.Spec.MinNodes, nodes))
	waiting := 0
	for _, d := range j.Drills {
		if d.Kind == job.Join {
			waiting++
		}
	}
	return Prediction{
		Nodes: nodes + waiting, Others: j.Coordinators, Left: left,
		Apart: j.Kind == backend.CUDA || j.Kind == backend.TPU,
		Node:  j.need(nodes), Lost: j.need(left),
	}
}

// Host is what all processes on this machine take of its memory; with two nodes lost,
// what those that are left do.
func (p Prediction) Host() (all, lost int64) {
	others := int64(p.Others+1) * coordinatorBytes // and this process
	return int64(p.Nodes)*p.ofNode(p.Node) + others, int64(p.Left)*p.ofNode(p.Lost) + others
}

// Device is what they take of the memory of what computes, if that is its own.
func (p Prediction) Device() (all, lost int64) {
	if !p.Apart {
		return 0, 0
	}
	return int64(p.Nodes) * p.Node.Device(), int64(p.Left) * p.Lost.Device()
}

// ofNode is what one node takes of the machine's memory.
func (p Prediction) ofNode(n Need) int64 {
	if p.Apart {
		return n.Host()
	}
	return n.Host() + n.Device()
}

// String says all in one line.
func (p Prediction) String() string {
	all, _ := p.Host()
	line := fmt.Sprintf("memory: about %s for %s, %s each", bytes(all), count(p.Nodes, "node"), bytes(p.ofNode(p.Node)))
	if p.Left < p.Nodes {
		line += fmt.Sprintf("; with two lost, %s each", bytes(p.ofNode(p.Lost)))
	}
	if d, _ := p.Device(); p.Apart {
		line += fmt.Sprintf("; %s of the device's", bytes(d))
	}
	return line
}

// Table lists the parts, a line each: what a node takes, and what one takes that is
// left when two are lost.
func (p Prediction) Table() string {
	var b strings.Builder
	p.row(&b, "memory of a node", "now", "two lost")
	for i, part := range p.Node {
		p.row(&b, part.Name, bytes(part.Host+part.Device), bytes(p.Lost[i].Host+p.Lost[i].Device))
	}
	all, lost := p.Host()
	p.row(&b, "a node", bytes(p.ofNode(p.Node)), bytes(p.ofNode(p.Lost)))
	p.row(&b, fmt.Sprintf("%s, %s", count(p.Nodes, "node"), count(p.Others, "coordinator")), bytes(all), bytes(lost))
	if p.Apart {
		all, lost := p.Device()
		p.row(&b, "of the device's memory", bytes(all), bytes(lost))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (p Prediction) row(b *strings.Builder, name, now, lost string) {
	fmt.Fprintf(b, "%-38s %10s", name, now)
	if p.Left < p.Nodes {
		fmt.Fprintf(b, " %10s", lost)
	}
	b.WriteByte('\n')
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func bytes(n int64) string {
	switch {
	case n < 10<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n < 1<<30:
		return fmt.Sprintf("%.0f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
}
