package launch

import (
	"fmt"
	"strings"

	"github.com/shirou/gopsutil/v4/mem"

	"carillon/job"
	"carillon/model"
)

// Need is what a job is predicted to take of this machine's memory, in bytes.
type Need struct {
	Nodes   int
	Process int64 // a node's program, the compute backend and its compiled graphs
	Base    int64 // the base model's weights, once a node
	Vectors int64 // trainables, moments, sums and the lanes' gradients, of the node with most lanes
	Graph   int64 // what a gradient holds while it runs
}

// processBytes is what a node takes before it has a model: measured, with XLA's
// CPU plugin open and two programs compiled.
const processBytes = 300 << 20

// predict says what nodes on this machine need for a job.
func predict(spec job.Spec, nodes int, f model.Facts) Need {
	lanes := (spec.Lanes + nodes - 1) / nodes
	tokens, length := int64(spec.MicroBatchSize*spec.SequenceLen), int64(spec.SequenceLen)
	// What the backward pass needs of each layer is about 16 widths a token and
	// twice the attention weights; of the head, the logits and their gradients.
	layer := tokens * (16*int64(f.Width) + 2*length*int64(f.Heads))
	head := 3 * tokens * int64(f.Vocab)
	if spec.TaskType == job.SeqCls || spec.TaskType == job.Regression {
		head = 0 // a few numbers a row
	}
	return Need{
		Nodes:   nodes,
		Process: processBytes,
		Base:    4 * int64(f.Parameters),
		Vectors: 4 * int64(f.TrainableSize) * int64(lanes+6),
		Graph:   4 * (int64(f.Depth)*layer + head),
	}
}

// Total is the sum over all nodes.
func (n Need) Total() int64 {
	return int64(n.Nodes) * (n.Process + n.Base + n.Vectors + n.Graph)
}

// String lists the parts.
func (n Need) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d nodes x (", bytes(n.Total()), n.Nodes)
	for i, p := range []struct {
		name string
		size int64
	}{{"program", n.Process}, {"base model", n.Base}, {"trainables, moments and gradients", n.Vectors}, {"one gradient's graph", n.Graph}} {
		if i > 0 {
			b.WriteString(" + ")
		}
		fmt.Fprintf(&b, "%s %s", p.name, bytes(p.size))
	}
	return b.String() + ")"
}

func bytes(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.0f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
}

// check refuses what does not fit this machine.
func (n Need) check() error {
	m, err := mem.VirtualMemory()
	if err != nil {
		return nil // a system that does not tell is not a reason to refuse
	}
	if total := n.Total(); uint64(total) > m.Total {
		return fmt.Errorf("the job needs about %v, and this machine has %s; use fewer nodes, a smaller micro_batch_size or sequence_len, or method lora", n, bytes(int64(m.Total)))
	}
	return nil
}
