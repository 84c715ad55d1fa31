package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"carillon/allreduce"
	"carillon/job"
)

func TestExchangeDeliversEveryMessageToItsRank(t *testing.T) {
	for _, n := range []int{1, 2, 4} {
		for _, size := range []int{0, 300, frameData, frameData + 1, 2*minWindow + 1} {
			if n > 2 && size > minWindow {
				continue // windows and acknowledgements are between two
			}
			t.Run(fmt.Sprintf("%d nodes %d bytes", n, size), func(t *testing.T) {
				links, peers := group(t, n)
				meshes := form(t, links, peers, 1, nil)
				text := func(from, to, step int) []byte {
					return bytes.Repeat([]byte{byte(from), byte(to), byte(step)}, size/3+1)[:size]
				}
				noErrors(t, everyRank(n, func(r int) error {
					for step := range 2 {
						meshes[r].Begin(uint64(step+1), 0)
						out := make([][]byte, n)
						for i := range n {
							out[i] = text(r, i, step)
						}
						in, err := meshes[r].Exchange(within(t, 10*time.Second), hop0, out, append(others(n, r), r))
						if err != nil {
							return err
						}
						for i := range n {
							if !bytes.Equal(in[i], text(i, r, step)) {
								return fmt.Errorf("step %d: the message from rank %d is not what it sent", step, i)
							}
						}
					}
					return nil
				}))
			})
		}
	}
}

func TestSumIsTheSameOverNATS(t *testing.T) {
	const params, lanes = 40_000, 8
	for _, n := range []int{1, 2, 3} {
		for _, alg := range []allreduce.Algorithm{allreduce.TwoShot, allreduce.Ring, allreduce.FanOut} {
			t.Run(fmt.Sprintf("%d nodes %v", n, alg), func(t *testing.T) {
				links, peers := group(t, n)
				meshes := form(t, links, peers, 1, nil)
				sums, exps := make([][]int32, n), make([][]byte, n)
				noErrors(t, everyRank(n, func(r int) (err error) {
					meshes[r].Begin(1, 0)
					sums[r], exps[r], err = sumLanes(within(t, 10*time.Second), meshes[r], alg, params, lanes)
					return err
				}))
				alone := form(t, []*Links{open(t, "alone")}, []Peer{{"alone", ""}}, 1, nil)
				want, wantExps, err := sumLanes(t.Context(), alone[0], alg, params, lanes)
				if err != nil {
					t.Fatal(err)
				}
				for r := range n {
					if !slices.Equal(sums[r], want) || !bytes.Equal(exps[r], wantExps) {
						t.Errorf("rank %d of %d has another sum than one node alone", r, n)
					}
				}
			})
		}
	}
}

// sumLanes adds up made-up gradients of this rank's share of lanes, as a step does.
func sumLanes(ctx context.Context, m *Mesh, alg allreduce.Algorithm, params, lanes int) ([]int32, []byte, error) {
	q, err := allreduce.NewQuantizer(allreduce.Q8, lanes)
	if err != nil {
		return nil, nil, err
	}
	noise := job.NewKey(1, job.ForRounding)
	g := make([]float32, params)
	exps, sum := make([]byte, allreduce.Blocks(params)), make([]int32, params)
	fill := func(lane int) {
		for i := range g {
			g[i] = float32(noise.At(uint64(i*lanes+lane))>>8)/(1<<24) - 0.5
		}
	}
	for lane := m.Rank(); lane < lanes; lane += m.Size() {
		fill(lane)
		allreduce.MaxExponents(exps, g)
	}
	if _, _, err := allreduce.Agree(ctx, m, exps, allreduce.Tail{}, []byte("word")); err != nil {
		return nil, nil, err
	}
	var carried []allreduce.Lane
	for lane := m.Rank(); lane < lanes; lane += m.Size() {
		fill(lane)
		carried = append(carried, allreduce.Lane{Gradient: slices.Clone(g), Noise: job.NewKey(1, job.ForRounding, 1, uint64(lane))})
	}
	q.SumLanes(sum, exps, carried...)
	err = allreduce.Sum(ctx, m, alg, q, sum, exps, noise)
	return sum, exps, err
}

func TestFramesThatComeEarlyAreKept(t *testing.T) {
	links, peers := group(t, 2)
	first := form(t, links, peers, 1, nil)
	// Rank 0 takes up roster 2 and begins step 7 of it, while rank 1 still
	// stands in roster 1.
	ahead, err := links[0].Form(within(t, 5*time.Second), number(2), peers, nil)
	if err != nil {
		t.Fatal(err)
	}
	ahead.Begin(7, 0)
	result := make(chan error, 1)
	go func() {
		_, err := ahead.Exchange(within(t, 5*time.Second), hop0, [][]byte{nil, []byte("early")}, []int{1})
		result <- err
	}()
	eventually(t, func() bool {
		links[1].mu.Lock()
		defer links[1].mu.Unlock()
		return len(links[1].early) == 1
	})
	first[1].Close()
	m, err := links[1].Form(within(t, 5*time.Second), number(2), peers, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Begin(7, 0)
	in, err := m.Exchange(within(t, 5*time.Second), hop0, [][]byte{[]byte("late"), nil}, []int{0})
	if err != nil || string(in[0]) != "early" {
		t.Fatalf("got %q, %v; want the message that came before the roster was formed", in, err)
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

// Messages of a stopped process arrive seconds later, when it goes on.
func TestFramesOfAnotherTimeAreDroppedUnread(t *testing.T) {
	good := trailer{job: job.NameWord(string(testJob)), roster: number(2), op: op{5, 1}, hop: hop0, pieces: 1, source: 0}
	for _, tt := range []struct {
		name   string
		change func(*trailer)
		kept   bool
	}{
		{"as it should be", func(*trailer) {}, true},
		{"another job", func(t *trailer) { t.job++ }, false},
		{"an older roster", func(t *trailer) { t.roster = number(1) }, false},
		{"an older incarnation", func(t *trailer) { t.roster.Incarnation = 0; t.roster.Count = 9 }, false},
		{"an older step", func(t *trailer) { t.op = op{4, 2} }, false},
		{"an older attempt", func(t *trailer) { t.op = op{5, 0} }, false},
		{"a rank that does not exist", func(t *trailer) { t.source = 2 }, false},
		{"this node's own rank", func(t *trailer) { t.source = 1 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			links, peers := group(t, 2)
			m := form(t, links, peers, 2, nil)[1]
			m.Begin(5, 1)
			tr := good
			tt.change(&tr)
			before := links[1].Dropped()
			links[1].receive("n0", tr.seal([]byte("x")))
			if got := links[1].Dropped() == before; got != tt.kept {
				t.Errorf("kept: %t, want %t", got, tt.kept)
			}
			if m.reason() != nil {
				t.Errorf("the mesh ended: %v", m.reason())
			}
		})
	}
}

func TestWrongFramesEndTheMeshAndNameTheirRank(t *testing.T) {
	good := trailer{job: job.NameWord(string(testJob)), roster: number(1), op: op{5, 0}, hop: hop0, pieces: 1, source: 0}
	for _, tt := range []struct {
		name string
		make func() []byte
		want string
	}{
		{"damaged data", func() []byte { b := good.seal([]byte("data")); b[0] ^= 1; return b }, "CRC"},
		{"damaged trailer", func() []byte { b := good.seal([]byte("data")); b[4+28] ^= 1; return b }, "CRC"},
		{"a gap", func() []byte { t := good; t.sequence = 1; return t.seal(nil) }, "frames were lost"},
		{"a short piece", func() []byte { t := good; t.pieces = 2; return t.seal([]byte("data")) }, "piece 0 of 2"},
		{"a false acknowledgement", func() []byte { t := good; t.hop.Phase = phaseAck; return t.seal(make([]byte, 7, 8)[:7:7]) }, ""},
		{"bytes that were never sent", func() []byte { t := good; t.hop.Phase = phaseAck; return t.seal([]byte{0, 0, 1, 0, 0, 0, 0, 0}) }, "never sent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			links, peers := group(t, 2)
			m := form(t, links, peers, 1, nil)[1]
			m.Begin(5, 0)
			result := make(chan error, 1)
			go func() {
				_, err := m.Exchange(within(t, 200*time.Millisecond), hop0, make([][]byte, 2), []int{0})
				result <- err
			}()
			eventually(t, func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.want != nil })
			links[1].receive("n0", tt.make())
			err := <-result
			if !slices.Equal(Suspects(err), []job.NodeID{"n0"}) || !bytes.Contains([]byte(err.Error()), []byte(tt.want)) {
				t.Errorf("err = %v; want one that names n0 and %q", err, tt.want)
			}
			if tt.want != "" && errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("err = %v; want it before the deadline", err)
			}
		})
	}
}

func TestADeadlineNamesWhoIsLate(t *testing.T) {
	links, peers := group(t, 3)
	meshes := form(t, links, peers, 1, nil)
	errs := everyRank(2, func(r int) error {
		meshes[r].Begin(1, 0)
		_, err := meshes[r].Exchange(within(t, 50*time.Millisecond), hop0, toOthers(3, r, []byte("x")), others(3, r))
		return err
	})
	for r, err := range errs {
		if !errors.Is(err, context.DeadlineExceeded) || !slices.Equal(Suspects(err), []job.NodeID{"n2"}) {
			t.Errorf("rank %d: err = %v; want deadline exceeded that names n2", r, err)
		}
		if _, again := meshes[r].Exchange(t.Context(), hop0, make([][]byte, 3), nil); again == nil {
			t.Errorf("rank %d: the mesh goes on after a failed exchange", r)
		}
	}
}

func TestAMessageWithoutAReaderStopsAtItsWindow(t *testing.T) {
	links, peers := group(t, 2)
	meshes := form(t, links, peers, 1, nil)
	meshes[0].Begin(1, 0)
	_, err := meshes[0].Exchange(within(t, 100*time.Millisecond), hop0, [][]byte{nil, make([]byte, 16<<20)}, nil)
	if !errors.Is(err, context.DeadlineExceeded) || !slices.Equal(Suspects(err), []job.NodeID{"n1"}) {
		t.Errorf("err = %v; want deadline exceeded that names n1", err)
	}
	if sent := meshes[0].BytesSent(); sent > minWindow+frameData+1<<16 {
		t.Errorf("%d bytes are under way, want at most the window of %d", sent, minWindow)
	}
}

func TestCloseIsSticky(t *testing.T) {
	links, peers := group(t, 2)
	meshes := form(t, links, peers, 1, nil)
	t.Run("before the exchange", func(t *testing.T) {
		meshes[0].Close()
		meshes[0].Begin(1, 0)
		if _, err := meshes[0].Exchange(t.Context(), hop0, make([][]byte, 2), []int{1}); !errors.Is(err, ErrClosed) {
			t.Errorf("err = %v, want closed", err)
		}
	})
	t.Run("during the exchange", func(t *testing.T) {
		result := make(chan error, 1)
		go func() {
			_, err := meshes[1].Exchange(t.Context(), hop0, make([][]byte, 2), []int{0})
			result <- err
		}()
		eventually(t, func() bool { meshes[1].mu.Lock(); defer meshes[1].mu.Unlock(); return meshes[1].want != nil })
		meshes[1].Close()
		if err := <-result; !errors.Is(err, ErrClosed) {
			t.Errorf("err = %v, want closed", err)
		}
	})
	t.Run("the next roster is fresh, on the same connections", func(t *testing.T) {
		before := links[0].links[peers[1]]
		next := form(t, links, peers, 2, nil)
		noErrors(t, everyRank(2, func(r int) error {
			_, err := next[r].Exchange(within(t, time.Second), hop0, toOthers(2, r, []byte{}), nil)
			return err
		}))
		if links[0].links[peers[1]] != before {
			t.Error("the connection was made anew")
		}
	})
}

func TestFormRefuses(t *testing.T) {
	links, peers := group(t, 2)
	form(t, links, peers, 3, nil)
	stranger := open(t, "stranger")
	for _, tt := range []struct {
		name    string
		number  uint32
		peers   []Peer
		want    string
		suspect []job.NodeID
	}{
		{"the same number", 3, peers, "roster 1.3 is formed already", nil},
		{"an older number", 2, peers, "roster 1.3 is formed already", nil},
		{"a roster without this node", 4, peers[1:], "n0 is not among its 1 members", nil},
		{"nobody there", 4, []Peer{peers[0], {"n1", "nats://127.0.0.1:1"}}, "connect to n1", []job.NodeID{"n1"}},
		{"somebody else there", 4, []Peer{peers[0], {"n1", stranger.Addr()}}, "another process listens there", []job.NodeID{"n1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := links[0].Form(within(t, 2*time.Second), number(tt.number), tt.peers, nil)
			if err == nil || !bytes.Contains([]byte(err.Error()), []byte(tt.want)) {
				t.Fatalf("err = %v, want %q", err, tt.want)
			}
			if got := Suspects(err); !slices.Equal(got, tt.suspect) {
				t.Errorf("suspects = %v, want %v", got, tt.suspect)
			}
		})
	}
	if _, err := links[0].Form(within(t, 2*time.Second), number(4), peers, nil); err != nil {
		t.Errorf("after failures the number is refused: %v", err)
	}
}

func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(5 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it does not happen within 5 s")
		}
	}
}
