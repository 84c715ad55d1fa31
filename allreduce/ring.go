package allreduce

import "context"

// ringReduce passes partial sums to the right. At hop h a rank sends piece
// rank-1-h, to which it has added its own part, and takes piece rank-2-h; at the
// last hop that is its own.
func ringReduce(ctx context.Context, m Mesh, p Pieces, sum []int32) error {
	for h := range m.Size() - 1 {
		send, take := around(m, -1-h), around(m, -2-h)
		var msg []byte
		if p.held[send] > 0 {
			msg = p.packPartial(sum, send)
		}
		err := ringHop(ctx, m, Hop{PhaseReduce, uint16(h)}, msg, p.held[take] > 0, func(_ int, msg []byte) error {
			return p.addPartial(sum, take, msg)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ringGather passes finished pieces to the right, starting with the own one; what
// arrives is passed on as it came.
func ringGather(ctx context.Context, m Mesh, p Pieces, sum []int32, exps []byte) error {
	var msg []byte
	if p.held[m.Rank()] > 0 {
		msg = p.packFinal(sum, exps, m.Rank())
	}
	for h := range m.Size() - 1 {
		take := around(m, -1-h)
		var next []byte
		err := ringHop(ctx, m, Hop{PhaseGather, uint16(h)}, msg, p.held[take] > 0, func(_ int, in []byte) error {
			next = in
			return p.setFinal(sum, exps, take, in)
		})
		if err != nil {
			return err
		}
		msg = next
	}
	return nil
}

// ringHop sends msg, if any, to the right while it takes one from the left, if
// one is due.
func ringHop(ctx context.Context, m Mesh, hop Hop, msg []byte, due bool, take func(int, []byte) error) error {
	if msg == nil && !due {
		return nil
	}
	out := make([][]byte, m.Size())
	out[around(m, 1)] = msg
	var from []int
	if due {
		from = []int{around(m, -1)}
	}
	return exchange(ctx, m, hop, out, from, take)
}

// around is the rank that many places to the right of the caller's own; by is at
// least -Size.
func around(m Mesh, by int) int { return (m.Rank() + by + m.Size()) % m.Size() }
