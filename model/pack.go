package model

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/cores"
	"carillon/model/nn"
)

// packLimit is the size, in elements, up to which trainables share one buffer.
// Each transfer costs some ten microseconds, which for an adapter's many small
// matrices would be a large part of a step; for a large matrix cutting it out of
// a common buffer costs more.
const packLimit = 1 << 16

// pack is a buffer of trainables on the device: a large one alone in its shape,
// or many small ones one after the other.
type pack struct {
	shape shapes.Shape
	parts []part
}

// part is one trainable in a pack.
type part struct {
	decl int // its index among the session's trainables
	flat int // where it begins in the flat vector
	at   int // where it begins in the pack
	size int
}

// packsOf packs trainables, which are in flat order.
func packsOf(decls []nn.Decl) []pack {
	var small pack
	var packs []pack
	flat, at := 0, 0
	for i, d := range decls {
		size := d.Size()
		if size > packLimit {
			packs = append(packs, pack{shapes.Make(dtypes.Float32, d.Shape...), []part{{i, flat, 0, size}}})
		} else {
			small.parts = append(small.parts, part{i, flat, at, size})
			at += size
		}
		flat += size
	}
	if at > 0 {
		small.shape = shapes.Make(dtypes.Float32, at)
		packs = append(packs, small)
	}
	return packs
}

// contiguous reports whether the pack is one piece of the flat vector.
func (p pack) contiguous() bool {
	return p.parts[len(p.parts)-1].flat-p.parts[0].flat == p.parts[len(p.parts)-1].at
}

// gather returns the pack's part of flat, without copying where it is one piece.
func (p pack) gather(flat []float32) []float32 {
	if p.contiguous() {
		return flat[p.parts[0].flat:][:p.shape.Size()]
	}
	out := make([]float32, p.shape.Size())
	p.read(out, flat)
	return out
}

// read copies the pack's part of flat to dst.
func (p pack) read(dst, flat []float32) {
	for _, part := range p.parts {
		copyAll(dst[part.at:], flat[part.flat:part.flat+part.size])
	}
}

// write copies the pack's numbers to their places in flat.
func (p pack) write(flat, src []float32) {
	for _, part := range p.parts {
		copyAll(flat[part.flat:part.flat+part.size], src[part.at:])
	}
}

// copyAll is copy, by all cores: one alone does not use up what memory can give.
func copyAll(dst, src []float32) {
	const alone = 1 << 18
	cores.InParts(min(len(dst), len(src)), alone, func(from, to int) { copy(dst[from:to], src[from:to]) })
}

// fetch puts a pack's numbers, which are in b, into flat; shared says that b's memory
// is the host's.
func (p pack) fetch(flat []float32, b compute.Buffer, shared bool) error {
	if shared {
		memory, err := b.Data()
		if err == nil {
			p.write(flat, memory.([]float32))
		}
		return err
	}
	if p.contiguous() {
		return b.ToFlatData(flat[p.parts[0].flat:][:p.shape.Size()])
	}
	in := make([]float32, p.shape.Size())
	err := b.ToFlatData(in)
	if err == nil {
		p.write(flat, in)
	}
	return err
}

// split returns the trainables in a pack's node.
func (p pack) split(node *Node, decls []nn.Decl) []*Node {
	if node.Rank() == len(decls[p.parts[0].decl].Shape) && len(p.parts) == 1 && node.Rank() != 1 {
		return []*Node{node}
	}
	nodes := make([]*Node, len(p.parts))
	for i, part := range p.parts {
		nodes[i] = Reshape(Slice(node, AxisRange(part.at, part.at+part.size)), decls[part.decl].Shape...)
	}
	return nodes
}

// join returns the pack's node for the gradients of its trainables.
func (p pack) join(gradients []*Node) *Node {
	if len(gradients) == 1 {
		return Reshape(gradients[0], p.shape.Dimensions...)
	}
	flat := make([]*Node, len(gradients))
	for i, g := range gradients {
		flat[i] = Reshape(g, g.Shape().Size())
	}
	return Concatenate(flat, 0)
}
