package model

import . "github.com/gomlx/gomlx/core/graph"

// liveness follows which results of a graph lie in memory at the same time.
//
// It supposes of a compiler what XLA does: operations run in the order in which the
// graph was built; what is computed element by element is computed where it is
// needed, and lies in memory only where something other reads it (a product of
// matrices, or a sum beside other readers); and memory is free after its last reader.
type liveness struct {
	nodes []*Node        // what the outputs need, in order
	at    map[*Node]int  // its place in nodes
	kept  []bool         // it lies in memory
	reads []map[int]bool // of what is not kept: the kept ones that it is computed from
	last  []int          // place of the last reader of what is kept
	given map[*Node]bool // outputs, which are not counted
}

// newLiveness prepares the nodes of a graph, in the order of their making. Without
// fusing, whatever is computed lies in memory.
func newLiveness(all, outputs []*Node, fusing bool) *liveness {
	l := &liveness{at: map[*Node]int{}, given: map[*Node]bool{}}
	needed := map[*Node]bool{}
	var need func(n *Node)
	need = func(n *Node) {
		if !needed[n] {
			needed[n] = true
			for _, in := range n.Inputs() {
				need(in)
			}
		}
	}
	for _, n := range outputs {
		need(n)
		l.given[source(n)] = true
	}
	for _, n := range all {
		if needed[n] {
			l.at[n] = len(l.nodes)
			l.nodes = append(l.nodes, n)
		}
	}
	l.keep(fusing)
	l.follow()
	return l
}

// keep finds what lies in memory.
func (l *liveness) keep(fusing bool) {
	readers, summed := make([]int, len(l.nodes)), make([]bool, len(l.nodes))
	l.kept = make([]bool, len(l.nodes))
	for i, n := range l.nodes {
		k := fateOf(n)
		l.kept[i] = l.kept[i] || k == stored || k == summing || l.given[n] || k == fused && !fusing
		if k == alias {
			continue
		}
		for _, in := range n.Inputs() {
			at := l.at[source(in)]
			readers[at]++
			summed[at] = summed[at] || k == summing
			if k == stored && fateOf(l.nodes[at]) == fused && !ofParameter(l.nodes[at]) {
				l.kept[at] = true
			}
		}
	}
	for i, n := range l.nodes {
		if summed[i] && readers[i] > 1 && fateOf(n) == fused {
			l.kept[i] = true
		}
	}
}

// follow finds the last reader of all that is kept.
func (l *liveness) follow() {
	l.reads, l.last = make([]map[int]bool, len(l.nodes)), make([]int, len(l.nodes))
	for i, n := range l.nodes {
		reads := map[int]bool{}
		for _, in := range n.Inputs() {
			at := l.at[in]
			if l.kept[at] {
				reads[at] = true
				continue
			}
			for k := range l.reads[at] {
				reads[k] = true
			}
		}
		l.reads[i] = reads
		if l.kept[i] {
			for k := range reads {
				l.last[k] = i
			}
		}
	}
}

// peak is the most bytes that lie in memory at once, parameters and outputs left out.
func (l *liveness) peak() (most int64) {
	freed := make([]int64, len(l.nodes)+1)
	var now int64
	for i, n := range l.nodes {
		if l.kept[i] && !l.given[n] {
			size := int64(n.Shape().ByteSize())
			now += size
			freed[max(i, l.last[i])] += size
		}
		most = max(most, now)
		now -= freed[i]
	}
	return most
}

// fate says what becomes of an operation's result.
type fate int

const (
	fused   fate = iota // computed where it is needed, element by element
	alias               // the same memory as its input
	given               // there before: parameters, constants
	summing             // over axes of something computed as it is read
	stored              // computed from what lies in memory
)

func fateOf(n *Node) fate {
	switch n.Type() {
	case NodeTypeReshape, NodeTypeIdentity, NodeTypeBitcast, NodeTypeOptimizationBarrier, NodeTypeSplitNode:
		return alias
	case NodeTypeParameter, NodeTypeConstant, NodeTypeIota:
		return given
	case NodeTypeReduceSum, NodeTypeReduceMax, NodeTypeReduceMin, NodeTypeReduceProduct:
		return summing
	case NodeTypeDotGeneral, NodeTypeGather, NodeTypeScatterSum, NodeTypeConvGeneral, NodeTypeRNGBitGenerator, NodeTypeArgMinMax, NodeTypeCumSum:
		return stored
	}
	return fused
}

// source is the node whose memory a node is.
func source(n *Node) *Node {
	for fateOf(n) == alias {
		n = n.Inputs()[0]
	}
	return n
}

// ofParameter reports whether a node is a parameter in another order, which products
// read as it lies.
func ofParameter(n *Node) bool {
	for fateOf(n) == alias || n.Type() == NodeTypeTranspose {
		n = n.Inputs()[0]
	}
	return fateOf(n) == given
}
