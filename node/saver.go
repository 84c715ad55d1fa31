package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/objstore"
	"carillon/train"
	"carillon/wire"
)

// saver keeps copies of the state and stores this node's share of their chunks
// in the background. Training pauses for the copy only.
type saver struct {
	job     job.ID
	store   objstore.Store
	log     *slog.Logger
	stored  func()      // called when the parts have changed
	giveUp  func(error) // called, without s.mu, when nothing can be stored any more
	uploads sync.WaitGroup

	mu         sync.Mutex // guards the fields below
	generation uint64
	copies     [2]*stateCopy // the older one is overwritten next
	leftOut    uint64        // the last step that was not copied, both being on their way
}

// stateCopy is an encoded state on its way to the store.
type stateCopy struct {
	generation, step uint64
	digest           string
	data             []byte
	begun            map[int]bool // chunks that this node stores, or has stored
	parts            []wire.Part  // of them, those that are in the store
	again            time.Time    // a chunk has failed: none is asked for before
	retired          bool         // its memory is another copy's now
	busy             sync.WaitGroup
	uploads          int // under way, as busy counts them; saver.mu guards it
}

var _ train.Saver = (*saver)(nil)

// newSaver makes a saver of states of size trainables. It takes the memory of so many
// copies in the background: to be given pages that were never touched makes a job's first
// checkpoints many times slower than the others.
func newSaver(id job.ID, store objstore.Store, generation uint64, size, copies int, log *slog.Logger, stored func(), giveUp func(error)) *saver {
	s := &saver{job: id, store: store, generation: generation, log: log, stored: stored, giveUp: giveUp, copies: [2]*stateCopy{{}, {}}}
	first := s.copies // Save changes it
	for _, c := range first[:copies] {
		c.busy.Add(1)
	}
	go func() {
		for _, c := range first[:copies] {
			c.data = touched(checkpoint.StateSize(size))
			c.busy.Done()
		}
	}()
	return s
}

// touched returns memory whose pages are there.
func touched(n int64) []byte {
	b := make([]byte, n)
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 0
	}
	return b
}

// Copies is how many states a node keeps for checkpoints: the one that is being stored,
// and the one before it where there is one.
func Copies(s job.Spec) int {
	if s.SaveMinutes == 0 && s.MaxSteps > 0 && (s.SaveSteps == 0 || s.SaveSteps >= s.MaxSteps) {
		return 1
	}
	return 2
}

// Save copies s and begins to store share rank of size. Where the copy before the last
// one is still on its way, the store is slower than the job saves: a copy that is needed
// waits for its memory, another is left out.
func (s *saver) Save(st *train.State, rank, size int, needed bool) error {
	s.mu.Lock()
	c := s.copies[0]
	if c.uploads > 0 && !needed {
		s.leftOut = st.Step
		s.mu.Unlock()
		s.log.Warn("a checkpoint is left out: the two before it are still on their way to the store", "step", st.Step)
		return nil
	}
	c.retired = true // from here on nobody begins to store any of it
	s.mu.Unlock()
	c.busy.Wait()
	next := &stateCopy{step: st.Step, digest: hex.EncodeToString(st.Digest[:]), begun: map[int]bool{}}
	next.data = checkpoint.EncodeState(c.data[:0], st.W, st.M, st.V, st.Updates)
	s.mu.Lock()
	next.generation = s.generation
	next.parts = []wire.Part{{Generation: next.generation, Step: st.Step, Digest: next.digest, Index: wire.Whole, Size: int64(len(next.data))}}
	s.copies = [2]*stateCopy{s.copies[1], next}
	s.mu.Unlock()
	s.upload(next, checkpoint.Share(len(checkpoint.Ranges(int64(len(next.data)))), rank, size))
	return nil
}

// wanted stores chunks of a copy that nobody has stored yet.
func (s *saver) wanted(step uint64, chunks []int) {
	for _, c := range s.current() {
		if c.step == step && len(chunks) > 0 {
			s.upload(c, chunks)
		}
	}
}

func (s *saver) current() []*stateCopy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.copies[:])
}

// parts lists what this node keeps, and what of it is stored, of checkpoints that
// HEAD does not name yet.
func (s *saver) parts() []wire.Part {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []wire.Part
	for _, c := range s.copies {
		all = append(all, c.parts...)
	}
	return all
}

// late returns the last step whose checkpoint this node has left out, 0 for none.
func (s *saver) late() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leftOut
}

// heed takes news: what HEAD names, and the generation of the next save.
func (s *saver) heed(saved, generation uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation = max(s.generation, generation)
	for _, c := range s.copies {
		if c.step <= saved {
			c.parts = nil
		}
	}
}

// atOnce is how many chunks a node stores at once.
const atOnce = 4

// upload stores chunks of c in the background, those that are not under way.
func (s *saver) upload(c *stateCopy, chunks []int) {
	s.mu.Lock()
	chunks = c.begin(chunks)
	s.mu.Unlock()
	if len(chunks) == 0 {
		return
	}
	s.uploads.Go(func() {
		defer s.done(c)
		var g errgroup.Group
		g.SetLimit(atOnce)
		for _, i := range chunks {
			g.Go(func() error { s.put(c, i); return nil })
		}
		_ = g.Wait() // put reports by itself
		s.stored()
	})
}

// begin returns those of the chunks that are to be stored now. If there are any,
// the copy is busy from here on, so that Save waits for it. saver.mu is held.
func (c *stateCopy) begin(chunks []int) (now []int) {
	if c.retired || time.Now().Before(c.again) {
		return nil
	}
	for _, i := range chunks {
		if !c.begun[i] {
			c.begun[i] = true
			now = append(now, i)
		}
	}
	if len(now) > 0 {
		c.uploads++
		c.busy.Add(1)
	}
	return now
}

// done says that an upload of c has ended.
func (s *saver) done(c *stateCopy) {
	s.mu.Lock()
	c.uploads--
	s.mu.Unlock()
	c.busy.Done()
}

const (
	// putPatience bounds the storing of one chunk.
	putPatience = 2 * time.Minute
	// putAgain is how soon after a chunk that failed another is begun on request.
	putAgain = time.Second
)

// put stores one chunk. If that fails, the coordinators ask for the chunk again,
// of whoever has it. A full disk is not waited out: it takes a person.
func (s *saver) put(c *stateCopy, i int) {
	ctx, cancel := context.WithTimeout(context.Background(), putPatience)
	defer cancel()
	ranges := checkpoint.Ranges(int64(len(c.data)))
	if i < 0 || i >= len(ranges) {
		return
	}
	data := c.data[ranges[i].From:ranges[i].To]
	sha, err := checkpoint.PutChunk(ctx, s.store, s.job, c.generation, c.step, data)
	if errors.Is(err, objstore.ErrFull) {
		s.giveUp(fmt.Errorf("save step %d: %w", c.step, err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		c.begun[i], c.again = false, time.Now().Add(putAgain)
		s.log.Error("store a chunk of a checkpoint", "step", c.step, "chunk", i, "error", err)
		return
	}
	c.parts = append(c.parts, wire.Part{Generation: c.generation, Step: c.step, Digest: c.digest, Index: i, SHA256: sha, Size: int64(len(data))})
}

// wait returns when nothing is being stored any more.
func (s *saver) wait() { s.uploads.Wait() }

// restore reads the newest checkpoint of a job whose flat vector has size elements.
func restore(ctx context.Context, store objstore.Store, id job.ID, size int) (train.State, error) {
	m, b, err := checkpoint.Load(ctx, store, id)
	if err != nil {
		return train.State{}, err
	}
	s := train.State{Step: m.Step, W: make([]float32, size), M: make([]float32, size), V: make([]float32, size)}
	if s.Updates, err = checkpoint.DecodeState(b, s.W, s.M, s.V); err != nil {
		return train.State{}, fmt.Errorf("checkpoint of step %d: %w", m.Step, err)
	}
	digest, err := hex.DecodeString(m.Digest)
	if err != nil || len(digest) != len(s.Digest) {
		return train.State{}, errors.Join(fmt.Errorf("checkpoint of step %d: digest %q is no SHA-256", m.Step, m.Digest), err)
	}
	s.Digest = [32]byte(digest)
	return s, nil
}
