package optim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"testing"

	"carillon/job"
)

// readJSON reads a file of testdata, which other libraries' numbers are in.
func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// tensors are the fixtures' two parameters.
type tensors struct{ W, B []float64 }

func (t tensors) flat() []float32 {
	var out []float32
	for _, x := range slices.Concat(t.W, t.B) {
		out = append(out, float32(x))
	}
	return out
}

func TestAdamWMakesTheStepsOfPyTorch(t *testing.T) {
	var fixtures struct {
		Initial tensors
		Grads   []tensors
		Runs    map[string]struct {
			Options struct {
				LR          float64
				Betas       [2]float64
				Eps         float64
				WeightDecay float64 `json:"weight_decay"`
			}
			Params []tensors
		}
	}
	readJSON(t, "adamw.json", &fixtures)
	for name, run := range fixtures.Runs {
		w := fixtures.Initial.flat()
		o := run.Options
		a := AdamW{o.Betas[0], o.Betas[1], o.Eps, o.WeightDecay, decaying([2]int{0, len(w)})}
		m, v := make([]float32, len(w)), make([]float32, len(w))
		for step, grad := range fixtures.Grads {
			a.UpdateAll(w, grad.flat(), m, v, uint64(step), o.LR, 1)
			for i, want := range run.Params[step].flat() {
				if off := math.Abs(float64(w[i] - want)); off > 1e-6 {
					t.Errorf("%s, step %d, element %d: %v, want %v", name, step, i, w[i], want)
				}
			}
		}
	}
}

// system is parameters, gradients and moments of all sizes, zeros and denormals
// among them.
type system struct{ w, g, m, v []float32 }

func newSystem(n int) system {
	return system{draws(1, n, 11), draws(2, n, 5), draws(3, n, 7), positive(draws(4, n, 7))}
}

// draws are numbers up to 2^38 of both signs and all sizes, a zero and a denormal
// among each few of them.
func draws(what uint64, n, few int) []float32 {
	k := job.NewKey(1, job.ForProbe, what)
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Ldexp(float64(k.Uniform(uint64(i))-0.5), int(k.At(uint64(i))%80)-40))
		switch i % few {
		case 1:
			x[i] = 0
		case 2:
			x[i] = math.SmallestNonzeroFloat32
		}
	}
	return x
}

func positive(x []float32) []float32 {
	for i := range x {
		x[i] = float32(math.Abs(float64(x[i])))
	}
	return x
}

func (s system) hash() string {
	h := sha256.New()
	for _, x := range [][]float32{s.w, s.m, s.v} {
		binary.Write(h, binary.LittleEndian, x)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func testAdamW(n int) AdamW {
	return AdamW{0.9, 0.999, 1e-8, 0.01, decaying([2]int{0, n / 7}, [2]int{n / 3, n / 2}, [2]int{n - 5, n})}
}

// The hash was made on amd64. Other machines, and other levels of GOAMD64, must
// give it too: a product fused with a sum would not.
func TestAdamWGivesTheSameBitsEverywhereAndHoweverItIsCut(t *testing.T) {
	const n = 3*parallelFrom + 100
	const want = "baaf355d03ee605abd8cfa6d08f8bdcc9fc8a875efcda8703026c8d79c9cb8b5"
	a := testAdamW(n)
	for name, update := range map[string]func(s system, updates uint64){
		"all": func(s system, updates uint64) {
			a.UpdateAll(s.w, s.g, s.m, s.v, updates, 1e-3, 0.37)
		},
		"one": func(s system, updates uint64) {
			a.Update(s.w, s.g, s.m, s.v, updates, 1e-3, 0.37)(0, n)
		},
		"odd pieces at once": func(s system, updates uint64) {
			var wg sync.WaitGroup
			for from := 0; from < n; from += 7919 {
				wg.Go(func() { a.Update(s.w, s.g, s.m, s.v, updates, 1e-3, 0.37)(from, min(n, from+7919)) })
			}
			wg.Wait()
		},
		"backwards": func(s system, updates uint64) {
			for to := n; to > 0; to -= 101 {
				a.Update(s.w, s.g, s.m, s.v, updates, 1e-3, 0.37)(max(0, to-101), to)
			}
		},
	} {
		s := newSystem(n)
		update(s, 0)
		update(s, 1)
		update(s, 1000)
		if got := s.hash(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// decaying are groups that decay.
func decaying(ranges ...[2]int) (groups []Group) {
	for _, r := range ranges {
		groups = append(groups, Group{From: r[0], To: r[1], Decay: true})
	}
	return groups
}

// A group with a rate of its own is updated as all would be at that rate.
func TestARateIsThatOfItsGroup(t *testing.T) {
	const n = 10
	start := quiet(n)
	update := func(lr float64, groups ...Group) system {
		s := system{slices.Clone(start.w), start.g, slices.Clone(start.m), slices.Clone(start.v)}
		a := AdamW{0.9, 0.999, 1e-8, 0.1, groups}
		a.Update(s.w, s.g, s.m, s.v, 3, lr, 1)(0, n)
		return s
	}
	whole := Group{From: 0, To: n, Decay: true}
	slow, fast := update(1e-3, whole), update(16e-3, whole)
	got := update(1e-3, Group{From: 0, To: 4, Decay: true}, Group{From: 4, To: n, Decay: true, Rate: 16})
	want := append(slices.Clone(slow.w[:4]), fast.w[4:]...)
	if !slices.Equal(got.w, want) || slices.Equal(slow.w, fast.w) {
		t.Errorf("got %v, want %v", got.w, want)
	}
}

func TestOnlyWhatShouldDecays(t *testing.T) {
	const n = 10
	a := AdamW{0.9, 0.999, 1e-8, 0.5, decaying([2]int{2, 4}, [2]int{7, 10})}
	for _, cut := range []int{0, 1, 3, 7, 8, 10} {
		w, zero := make([]float32, n), make([]float32, n)
		for i := range w {
			w[i] = 1
		}
		m, v := make([]float32, n), make([]float32, n)
		a.Update(w, zero, m, v, 0, 0.5, 1)(0, cut)
		a.Update(w, zero, m, v, 0, 0.5, 1)(cut, n)
		if want := []float32{1, 1, .75, .75, 1, 1, 1, .75, .75, .75}; !slices.Equal(w, want) {
			t.Errorf("cut at %d: %v, want %v", cut, w, want)
		}
	}
}

func TestPowerEndsEarlyWithoutAnotherResult(t *testing.T) {
	slow := func(x float64, n int) float64 {
		p := 1.0
		for range n {
			p *= x
		}
		return p
	}
	for _, x := range []float64{0, 0.5, 0.9, 0.999, 0.9999} {
		for _, n := range []int{0, 1, 2, 53, 54, 55, 1000, 50_000} {
			if got, want := 1-power(x, uint64(n)), 1-slow(x, n); got != want {
				t.Errorf("1 - %v^%d = %v, want %v", x, n, got, want)
			}
		}
	}
}

func TestNothingToUpdate(t *testing.T) {
	a := testAdamW(100)
	a.UpdateAll(nil, nil, nil, nil, 0, 1, 1)
	if n := meanAndNorm(nil, 1); n != 0 {
		t.Errorf("norm of nothing = %v", n)
	}
}

func ExampleAdamW() {
	a := AdamW{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
	w, g := []float32{1, 1}, []float32{2, -0.5}
	m, v := make([]float32, 2), make([]float32, 2)
	mean := NewMean(len(g), 1)
	mean.Divide(0, g)
	a.UpdateAll(w, g, m, v, 0, 0.1, ClipFactor(mean.Norm(), 1))
	fmt.Println(w)
	// Output: [0.9 1.1]
}
