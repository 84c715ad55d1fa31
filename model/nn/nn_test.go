package nn

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/job"
)

type nothing struct{}

func (nothing) Trains(string) (string, bool) { return "", false }
func (nothing) Check([]string) error         { return nil }

// The graph's masks are the host's, element by element, at every site.
func TestDropoutIsThatOfTheHost(t *testing.T) {
	const rate, size = 0.3, 3 * 70000 // beyond 16 bits
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		exec := MustNewExec(be.Compute(), func(key *Node) []*Node {
			p := NewParams(key.Graph(), nothing{}, nil, key)
			x := Ones(key.Graph(), shapes.Make(dtypes.Float32, 3, size/3))
			return []*Node{p.Dropout(x, rate), p.Dropout(x, rate)}
		})
		key := job.NewKey(9, job.ForDropout, 4, 5)
		out, err := exec.Call([]uint32{key[0], key[1], 1})
		if err != nil {
			t.Fatal(err)
		}
		for site, x := range out {
			checkMask(t, key, site, rate, tensors.MustCopyFlatData[float32](x))
		}
		off, err := exec.Call([]uint32{key[0], key[1], 0})
		if err != nil {
			t.Fatal(err)
		}
		if x := tensors.MustCopyFlatData[float32](off[0]); slices.Min(x) != 1 || slices.Max(x) != 1 {
			t.Error("dropout that is off changes its input")
		}
	})
}

func checkMask(t *testing.T, key job.Key, site int, rate float64, got []float32) {
	t.Helper()
	kept := 0
	for i, x := range got {
		want := float32(0)
		if key.At(uint64(site)<<32|uint64(i)) >= uint32(math.Round(rate*(1<<32))) {
			want = float32(1 / (1 - rate))
			kept++
		}
		if math.Abs(float64(x-want)) > 1e-6 {
			t.Fatalf("site %d, element %d is %v, want %v", site, i, x, want)
		}
	}
	if share := float64(kept) / float64(len(got)); math.Abs(share-(1-rate)) > 0.01 {
		t.Errorf("site %d keeps %v of all, want %v", site, share, 1-rate)
	}
}

// NEFTune's noise is the host's, element by element, as wide as the tokens in a
// row, or in a part, allow.
func TestNoiseIsThatOfTheHost(t *testing.T) {
	const rows, length, d, alpha = 2, 6, 8, 5.0
	mask := [][]int32{{1, 1, 1, 0, 0, 0}, {1, 1, 2, 2, 2, 2}}
	for _, packed := range []bool{false, true} {
		backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
			exec := MustNewExec(be.Compute(), func(mask, key *Node) *Node {
				x := Ones(key.Graph(), shapes.Make(dtypes.Float32, rows, length, d))
				p := NewParams(key.Graph(), nothing{}, nil, key)
				p.Dropout(x, 0.5) // takes no part of the noise's numbers
				return p.Noise(Sequence{X: x, Mask: mask, Packed: packed}, alpha)
			})
			key := job.NewKey(9, job.ForDropout, 4, 5)
			for on := range uint32(2) {
				out, err := exec.Call(mask, []uint32{key[0], key[1], on})
				if err != nil {
					t.Fatal(err)
				}
				for i, got := range tensors.MustCopyFlatData[float32](out[0]) {
					r, at := i/d/length, i/d%length
					width := alpha / math.Sqrt(float64(d*tokensBeside(mask[r], at, packed)))
					want := 1 + float64(on)*width*(2*float64(key.Uniform(noiseSite<<32|uint64(i)))-1)
					if math.Abs(float64(got)-want) > 1e-6 {
						t.Fatalf("packed %v, on %d: element %d is %v, want %v", packed, on, i, got, want)
					}
				}
			}
		})
	}
}

// tokensBeside counts the tokens of a row, or of the part at a place in it.
func tokensBeside(mask []int32, at int, packed bool) (n int) {
	for _, m := range mask {
		if packed && m == mask[at] || !packed && m > 0 {
			n++
		}
	}
	return n
}

// Where gradients are written by hand they equal central differences.
func TestHandWrittenGradientsAreDerivatives(t *testing.T) {
	weigh := func(x *Node) *Node { // a scalar in which every element counts differently
		return ReduceAllSum(Mul(x, Sin(IotaFull(x.Graph(), x.Shape()))))
	}
	for name, f := range map[string]func(x *Node) *Node{
		"softmax":   func(x *Node) *Node { return weigh(softmax(x)) },
		"normalize": func(x *Node) *Node { return weigh(normalize(x, 1e-5)) },
		"rotate": func(x *Node) *Node {
			x = Reshape(x, 2, 1, 3, 12)
			angles := Slice(IotaFull(x.Graph(), x.Shape()), AxisRange(), AxisRange(), AxisRange(), AxisRange(0, 6))
			return weigh(Rotate(x, Cos(angles), Sin(angles)))
		},
		"standardize": func(x *Node) *Node { return weigh(standardize(x, 1e-5)) },
		"split": func(x *Node) *Node {
			q, k, v := SplitQKV(x, 2)
			return Add(weigh(Mul(q, k)), weigh(Mul(k, v)))
		},
		"slots, not all used": func(x *Node) *Node {
			parts := Slots(x)
			return Add(weigh(Mul(parts[0], parts[2])), weigh(parts[0]))
		},
		"split, values only": func(x *Node) *Node {
			_, _, v := SplitQKV(x, 2)
			return weigh(Mul(v, v))
		},
	} {
		t.Run(name, func(t *testing.T) {
			exec := MustNewExec(backendtest.Go(t).Compute(), func(x *Node) []*Node {
				y := f(x)
				return []*Node{y, Gradient(y, x)[0]}
			})
			checkDerivative(t, exec, 2*3*12)
		})
	}
}

// checkDerivative compares an executor's gradient of [2, 3, 12] numbers along a
// direction with the difference of its values.
func checkDerivative(t *testing.T, exec *Exec, n int) {
	t.Helper()
	const step = 1e-5
	at := func(shift float64) (float64, []float64) {
		x := make([]float64, n)
		for i := range x {
			x[i] = math.Cos(3*float64(i)) + shift*direction(i)
		}
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(x, 2, 3, 12))
		if err != nil {
			t.Fatal(err)
		}
		return tensors.ToScalar[float64](out[0]), tensors.MustCopyFlatData[float64](out[1])
	}
	_, grad := at(0)
	got := 0.0
	for i, g := range grad {
		got += g * direction(i)
	}
	up, _ := at(step)
	down, _ := at(-step)
	if want := (up - down) / (2 * step); math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) {
		t.Errorf("the gradient along a direction is %v, differences give %v", got, want)
	}
}

func direction(i int) float64 { return math.Sin(float64(7*i + 1)) }

func TestActivationsAreKnownByName(t *testing.T) {
	for name, want := range map[string]float64{"gelu": 0.841345, "gelu_new": 0.841192, "relu": 1, "silu": 0.731059} {
		f, err := Activation(name)
		if err != nil {
			t.Fatal(err)
		}
		out, err := CallOnce(backendtest.Go(t).Compute(), f, float32(1))
		if err != nil {
			t.Fatal(err)
		}
		if got := tensors.ToScalar[float32](out); math.Abs(float64(got)-want) > 1e-5 {
			t.Errorf("%s(1) is %v, want %v", name, got, want)
		}
	}
	if _, err := Activation("swash"); err == nil {
		t.Error("an unknown activation was found")
	}
}

func TestNormalHasItsMeanAndDeviation(t *testing.T) {
	x := make([]float32, 1<<16)
	Normal(0.02)(job.NewKey(1, job.ForInit), x)
	sum, squares := 0.0, 0.0
	for _, v := range x {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n := float64(len(x))
	if mean, std := sum/n, math.Sqrt(squares/n); math.Abs(mean) > 3e-4 || math.Abs(std-0.02) > 3e-4 {
		t.Errorf("mean %v, deviation %v; want 0 and 0.02", mean, std)
	}
}
