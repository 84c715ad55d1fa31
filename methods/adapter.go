package methods

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/job"
	"carillon/model/nn"
)

// AdapterName is what AdapterHub's keys call an adapter of ours.
const AdapterName = "carillon"

// Adapter trains small feed-forward parts, bottlenecks, between the frozen sublayers
// of a model:
//
//	bn(x) = Scaling · (f(x·Dᵀ + d)·Uᵀ + u),  D [m, H],  U [H, m],  m = H/ReductionFactor
//
// With the stream x before a sublayer, its output a, and LN the norm that follows
// their sum (nothing in models that normalise before a sublayer):
//
//	seq_bn (Pfeiffer)       x + a + bn(LN(x + a))   after each feed-forward part
//	double_seq_bn (Houlsby) x + a + bn(a)           after attention as well
//	par_bn                  x + a + bn(x)           beside the feed-forward part
//
// (Pfeiffer et al., 2020, https://arxiv.org/abs/2005.00247; Houlsby et al., 2019,
// https://arxiv.org/abs/1902.00751; He et al., 2022, https://arxiv.org/abs/2110.04366;
// names, shapes and first values as in AdapterHub, whose bottlenecks begin near
// zero, or with init mam_adapter at zero, so that the model begins near or at the base.)
type Adapter struct {
	Name              string // in the keys; "": AdapterName
	Architecture      string
	ReductionFactor   float64
	ReductionFactors  map[string]float64 // of single layers, by their numbers
	Size              int                // of a bottleneck, in ReductionFactor's place; 0: none
	LeaveOut          []int              // layers without bottlenecks
	NonLinearity      string
	Scaling           float64
	LearnScaling      string // learned (one number) or channel (one each), which begin as 1; "": Scaling
	LNBefore, LNAfter bool   // norms of the bottleneck's own, on what goes in and comes out
	OriginalLNBefore  bool   // bn sees LN(x + a) and not a
	ResidualBeforeLN  bool   // else LN(x + a) is added again in the place of a
	CrossAdapter      bool   // after a decoder's attention to the encoder as well
	InitWeights       string // bert, houlsby or mam_adapter
}

// kinds are AdapterHub's configurations of each architecture.
var kinds = map[string]Adapter{
	"seq_bn":        {ReductionFactor: 16, NonLinearity: "relu", Scaling: 1, OriginalLNBefore: true, InitWeights: "bert"},
	"double_seq_bn": {ReductionFactor: 16, NonLinearity: "swish", Scaling: 1, InitWeights: "bert"},
	"par_bn":        {ReductionFactor: 2, NonLinearity: "relu", Scaling: 4, InitWeights: "mam_adapter"},
}

// newAdapter reads the recipe's section bottleneck.
func newAdapter(spec job.Spec) (nn.Method, error) {
	b := spec.Bottleneck
	if b == nil {
		return nil, fmt.Errorf("method adapter needs a section bottleneck with architecture")
	}
	k, ok := kinds[b.Architecture]
	if !ok {
		return nil, fmt.Errorf("bottleneck.architecture is %q; known are double_seq_bn, par_bn and seq_bn", b.Architecture)
	}
	a := Adapter{
		Architecture: b.Architecture, Size: b.BottleneckSize, LeaveOut: b.LeaveOut,
		ReductionFactor: cmp.Or(b.ReductionFactor, k.ReductionFactor), ReductionFactors: b.ReductionFactors,
		NonLinearity: cmp.Or(b.NonLinearity, k.NonLinearity), InitWeights: cmp.Or(b.InitWeights, k.InitWeights),
		Scaling: cmp.Or(b.Scaling, k.Scaling), LearnScaling: b.LearnScaling, LNBefore: b.LNBefore, LNAfter: b.LNAfter,
		OriginalLNBefore: or(b.OriginalLNBefore, k.OriginalLNBefore), ResidualBeforeLN: or(b.ResidualBeforeLN, true),
		CrossAdapter: b.CrossAdapter,
	}
	if !or(b.OriginalLNAfter, true) {
		return nil, fmt.Errorf("bottleneck.original_ln_after is false; only true is built: the model's norm stays where it is")
	}
	return a, a.validate()
}

func or(set *bool, otherwise bool) bool {
	if set == nil {
		return otherwise
	}
	return *set
}

func (a Adapter) validate() error {
	switch {
	case a.Size < 0 || a.Size == 0 && !(a.ReductionFactor > 0):
		return fmt.Errorf("bottleneck.reduction_factor is %v and bottleneck_size %d; want one above 0", a.ReductionFactor, a.Size)
	case !(a.Scaling > 0) || math.IsInf(a.Scaling, 0):
		return fmt.Errorf("bottleneck.scaling is %v; it must be a number above 0", a.Scaling)
	case !slices.Contains([]string{"", "learned", "channel"}, a.LearnScaling):
		return fmt.Errorf("bottleneck.learn_scaling is %q; known are learned and channel", a.LearnScaling)
	case firsts[a.InitWeights].down == nil:
		return fmt.Errorf("bottleneck.init_weights is %q; known are bert, houlsby and mam_adapter", a.InitWeights)
	}
	for layer, factor := range a.ReductionFactors {
		if _, err := strconv.Atoi(layer); err != nil || !(factor > 0) {
			return fmt.Errorf("bottleneck.reduction_factors has %s: %v; want numbers of layers, and factors above 0", layer, factor)
		}
	}
	if _, err := nn.Activation(a.NonLinearity); err != nil {
		return fmt.Errorf("bottleneck.non_linearity: %w", err)
	}
	return nil
}

// Trains says yes to a classifier's head alone, under its own name: AdapterHub keeps
// it in a file beside the adapter's.
func (Adapter) Trains(name string) (string, bool) { return name, headed(name) }

// Check has nothing to ask for.
func (Adapter) Check([]string) error { return nil }

// Residual adds a sublayer's output and the bottleneck's to the stream.
func (a Adapter) Residual(p nn.Params, r nn.Residual) *Node {
	sum := Add(r.X, r.A)
	layer := layerOf(p)
	if !a.stands(r) || slices.Contains(a.LeaveOut, layer) {
		return sum
	}
	if a.Architecture == "par_bn" {
		return Add(sum, a.bottleneck(p, layer, r.X))
	}
	in, kept := r.A, r.A
	if a.OriginalLNBefore {
		in = sum
		if r.Norm != nil {
			in = r.Norm(sum)
		}
	}
	if !a.ResidualBeforeLN {
		kept = in
	}
	return Add(Add(r.X, kept), a.bottleneck(p, layer, in))
}

// stands says whether a bottleneck stands at a sublayer.
func (a Adapter) stands(r nn.Residual) bool {
	switch {
	case r.Cross:
		return a.CrossAdapter
	case r.FeedForward:
		return true
	}
	return a.Architecture == "double_seq_bn"
}

// bottleneck returns bn(x) for x [B, T, H].
func (a Adapter) bottleneck(p nn.Params, layer int, x *Node) *Node {
	key, d := p.Path()+".adapters."+AdapterName+".", x.Shape().Dim(2)
	down := key + "adapter_down.0"
	if a.LNBefore {
		x, down = norm(p, key+"adapter_norm_before", x), key+"adapter_down.1"
	}
	act, err := nn.Activation(a.NonLinearity)
	if err != nil {
		panic(err) // validate has refused it
	}
	first := firsts[a.InitWeights]
	h := act(through(p, down, x, first.down(d), a.size(layer, d))) // [B, T, m]
	y := a.scale(p, key, through(p, key+"adapter_up", h, first.up, d))
	if a.LNAfter {
		y = norm(p, key+"adapter_norm_after", y)
	}
	return y
}

// size is the width of a layer's bottleneck in a model of width d.
func (a Adapter) size(layer, d int) int {
	if a.Size > 0 {
		return a.Size
	}
	factor := cmp.Or(a.ReductionFactors[strconv.Itoa(layer)], a.ReductionFactor)
	return max(1, int(float64(d)/factor))
}

// scale multiplies what a bottleneck gives by the number, or numbers, it is scaled by.
func (a Adapter) scale(p nn.Params, key string, y *Node) *Node {
	switch a.LearnScaling {
	case "learned":
		return Mul(y, nn.ExpandLeft(p.Trainable(key+"scaling", nn.One, 1), y.Rank()))
	case "channel":
		return Mul(y, nn.ExpandLeft(p.Trainable(key+"scaling", nn.One, y.Shape().Dim(-1)), y.Rank()))
	}
	if a.Scaling == 1 {
		return y
	}
	return MulScalar(y, a.Scaling)
}

// through is a trained map of x [..., in], whose bias begins as 0.
func through(p nn.Params, key string, x *Node, first nn.Init, out int) *Node {
	y := nn.MatT(x, p.Trainable(key+".weight", first, out, x.Shape().Dim(-1)))
	return nn.AddVector(y, p.Trainable(key+".bias", nn.Zero, out))
}

// norm is a trained norm, with PyTorch's epsilon.
func norm(p nn.Params, key string, x *Node) *Node {
	d := x.Shape().Dim(-1)
	return nn.Normalize(x, p.TrainableVector(key+".weight", nn.One, d), p.TrainableVector(key+".bias", nn.Zero, d), 1e-5)
}

// firsts are the ways in which a bottleneck's weights begin.
var firsts = map[string]struct {
	down func(in int) nn.Init
	up   nn.Init
}{
	"bert":        {func(int) nn.Init { return nn.Normal(0.02) }, nn.Normal(0.02)},
	"houlsby":     {func(int) nn.Init { return nn.Truncated(0.01) }, nn.Truncated(0.01)},
	"mam_adapter": {func(in int) nn.Init { return nn.Uniform(1 / math.Sqrt(float64(in))) }, nn.Zero},
}

// numbered finds the part of a path that ends with the first number: the layer.
var numbered = regexp.MustCompile(`^.*?\.\d+(\.|$)`)

// layerOf returns the number of the layer that p stands in, counted through the
// model: a decoder's layers follow those of its encoder. The layer has passed at
// least one linear map.
func layerOf(p nn.Params) int {
	here, layer, last := numbered.FindString(p.Path()+"."), -1, ""
	for _, path := range p.Modules() {
		at := numbered.FindString(path)
		if at != "" && at != last {
			layer, last = layer+1, at
		}
		if at == here {
			break
		}
	}
	return layer
}
