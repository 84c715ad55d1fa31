package allreduce

import "context"

// directReduce sends each piece's partial sums straight to its owner.
func directReduce(ctx context.Context, m Mesh, p Pieces, sum []int32) error {
	me := m.Rank()
	out := make([][]byte, m.Size())
	sending := false
	for _, r := range others(m) {
		if p.held[r] > 0 {
			out[r] = p.packPartial(sum, r)
			sending = true
		}
	}
	var from []int
	if p.held[me] > 0 {
		from = others(m)
	}
	if !sending && len(from) == 0 {
		return nil
	}
	return exchange(ctx, m, Hop{PhaseReduce, 0}, out, from, func(_ int, msg []byte) error {
		return p.addPartial(sum, me, msg)
	})
}

// directGather sends the own finished piece to everybody.
func directGather(ctx context.Context, m Mesh, p Pieces, sum []int32, exps []byte) error {
	me := m.Rank()
	out := make([][]byte, m.Size())
	if p.held[me] > 0 {
		out = toAll(m, p.packFinal(sum, exps, me))
	}
	var from []int
	for _, r := range others(m) {
		if p.held[r] > 0 {
			from = append(from, r)
		}
	}
	if p.held[me] == 0 && len(from) == 0 || m.Size() == 1 {
		return nil
	}
	return exchange(ctx, m, Hop{PhaseGather, 0}, out, from, func(r int, msg []byte) error {
		return p.setFinal(sum, exps, r, msg)
	})
}

// fanOut sends all pieces to everybody, who adds them up.
func fanOut(ctx context.Context, m Mesh, p Pieces, sum []int32) error {
	whole := Cut(p.agreed, 1)
	if m.Size() == 1 || whole.held[0] == 0 {
		return nil
	}
	out := toAll(m, whole.packPartial(sum, 0))
	return exchange(ctx, m, Hop{PhaseReduce, 0}, out, others(m), func(_ int, msg []byte) error {
		return whole.addPartial(sum, 0, msg)
	})
}
