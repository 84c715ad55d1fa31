package coordinator

import (
	"slices"
	"time"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/ledger"
	"carillon/wire"
)

// holderPatience is how long a node has to store its share of a checkpoint
// before others, who keep copies too, are asked for it, one after another.
const holderPatience = 2 * time.Second

// planKey names a state that is being saved. Parts of two plans are never added up.
type planKey struct {
	generation, step uint64
	digest           string
}

// plan is a checkpoint on its way to being whole.
type plan struct {
	planKey
	size    int64             // bytes of the state; 0 before anybody said so
	parts   map[int]wire.Part // chunks that are stored
	holders []job.NodeID      // who keep a copy of the state
	since   time.Time         // when it was heard of first
}

// plans are the checkpoints that are not saved yet.
type plans map[planKey]*plan

// hear takes the parts that a beat reports, of a generation and above what is
// saved, and says whether anything is new.
func (ps plans) hear(now time.Time, b wire.Beat, generation, saved uint64) (news bool) {
	for _, part := range b.Parts {
		if part.Generation != generation || part.Step <= saved {
			continue
		}
		key := planKey{part.Generation, part.Step, part.Digest}
		p := ps[key]
		if p == nil {
			p = &plan{planKey: key, parts: map[int]wire.Part{}, since: now}
			ps[key] = p
		}
		if !slices.Contains(p.holders, b.ID) {
			p.holders = append(p.holders, b.ID)
		}
		if part.Index == wire.Whole {
			p.size = part.Size
		} else if _, ok := p.parts[part.Index]; !ok {
			p.parts[part.Index] = part
			news = true
		}
	}
	return news
}

// forget drops what is not above saved.
func (ps plans) forget(saved uint64) {
	for key := range ps {
		if key.step <= saved {
			delete(ps, key)
		}
	}
}

// newest is the plan of the highest step of which ok is true, or nil.
func (ps plans) newest(ok func(*plan) bool) (best *plan) {
	for _, p := range ps {
		if (best == nil || p.step > best.step) && ok(p) {
			best = p
		}
	}
	return best
}

// missing lists the chunks that nobody has stored, if that is known.
func (p *plan) missing() (chunks []int) {
	for i, r := range checkpoint.Ranges(p.size) {
		if p.parts[i].Size != r.To-r.From {
			chunks = append(chunks, i)
		}
	}
	return chunks
}

func (p *plan) whole() bool { return p.size > 0 && len(p.missing()) == 0 }

// entry says that the plan is whole.
func (p *plan) entry(eval *ledger.Eval) *ledger.Checkpoint {
	c := &ledger.Checkpoint{
		Name: checkpoint.Name(p.generation, p.step), Generation: p.generation, Step: p.step, Digest: p.digest, Size: p.size, Eval: eval,
	}
	for i := range checkpoint.Ranges(p.size) {
		c.Chunks = append(c.Chunks, ledger.Chunk{SHA256: p.parts[i].SHA256, Size: p.parts[i].Size})
	}
	return c
}

// wanted lists the chunks of the newest plan that a node is asked to store, since
// those whose share they are have not. Living holders take turns.
func (ps plans) wanted(now time.Time, id job.NodeID, alive func(job.NodeID) bool) (step uint64, chunks []int) {
	p := ps.newest(func(*plan) bool { return true })
	if p == nil || p.size == 0 || now.Sub(p.since) < holderPatience {
		return 0, nil
	}
	living := slices.DeleteFunc(slices.Clone(p.holders), func(h job.NodeID) bool { return !alive(h) })
	turn := int(now.Sub(p.since)/holderPatience) - 1
	if len(living) == 0 || living[turn%len(living)] != id {
		return 0, nil
	}
	if chunks = p.missing(); len(chunks) == 0 {
		return 0, nil
	}
	return p.step, chunks
}
