package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Kept are the keys and values that texts leave for the tokens that are put to them
// later, so that no token is computed twice: a layer's keys, its values, the next
// layer's keys, and so on.
type Kept struct {
	// At (int32 [B]) is the slot among Own of the one token of each row. nil: the
	// texts begin, and what there is to keep is added to Own and Memory.
	At *Node
	// Own are of attention to the text itself: [B, KV, slots, hd], without what a
	// method puts in front.
	Own []*Node
	// Memory are of a decoder's attention to what its encoder read: [B, H, S, hd].
	Memory []*Node
}

// Keep lets the graph's attention keep keys and values in k, and see those in it.
func (p Params) Keep(k *Kept) { p.b.kept = k }

// EnterMemory returns the keys and values [B, H, S, hd] of a decoder's attention to
// what its encoder read, in layer number layer: those that were kept, or those made.
func EnterMemory(p Params, layer int, made func() (k, v *Node)) (keys, values *Node) {
	kept := p.b.kept
	if kept != nil && kept.At != nil {
		return kept.Memory[2*layer], kept.Memory[2*layer+1]
	}
	keys, values = made()
	if kept != nil {
		kept.Memory = append(kept.Memory, keys, values)
	}
	return keys, values
}

// own keeps the keys and values k and v [B, KV, T, hd] of the text's tokens, and
// returns them, or if T is one after the beginning, all that are kept.
func (kept *Kept) own(layer int, k, v *Node) (keys, values *Node) {
	if kept.At == nil {
		kept.Own = append(kept.Own, k, v)
		return k, v
	}
	all := kept.Own[2*layer : 2*layer+2]
	all[0], all[1] = kept.put(all[0], k), kept.put(all[1], v)
	return all[0], all[1]
}

// put puts a token's x [B, KV, 1, hd] into its slot of all [B, KV, slots, hd].
func (kept *Kept) put(all, x *Node) *Node {
	g, dims := all.Graph(), all.Shape().Dimensions
	at := BroadcastToDims(Reshape(kept.At, dims[0], 1, 1, 1), dims...)
	here := Equal(Iota(g, shapes.Make(dtypes.Int32, dims...), 2), at)
	return Where(here, BroadcastToDims(x, dims...), all)
}

// Place is where each row's token stands among n keys, the last of which are those
// kept: int32 [B].
func (kept *Kept) Place(n int) *Node {
	return AddScalar(kept.At, int32(n-kept.Own[0].Shape().Dim(2)))
}

// mask is CausalMask, or with a window WindowMask, for the one token of each row and
// n keys: [B, 1, 1, n]. Slots behind the token's own hold nothing yet.
func (kept *Kept) mask(n, window int) *Node {
	g, b := kept.At.Graph(), kept.At.Shape().Dim(0)
	key := Iota(g, shapes.Make(dtypes.Int32, b, n), 1)
	own := BroadcastToDims(Reshape(kept.Place(n), b, 1), b, n)
	seen := LessOrEqual(key, own)
	if window > 0 {
		seen = LogicalAnd(seen, GreaterThan(key, AddScalar(own, int32(-window))))
	}
	return Reshape(Where(seen, Scalar(g, dtypes.Float32, 0), Scalar(g, dtypes.Float32, hidden)), b, 1, 1, n)
}
