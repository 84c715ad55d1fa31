package nn

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// Embedding returns the rows of table [V, d] at ids (int32 [B, T]): [B, T, d].
// Ids must lie in the table; engines clamp those that do not without a word.
func Embedding(table, ids *Node) *Node {
	return Gather(table, ExpandDims(ids, -1))
}

// LayerNorm gives each row of x [..., d] mean 0 and variance 1, times a gain plus
// a bias (Ba et al., 2016, https://arxiv.org/abs/1607.06450).
func LayerNorm(p Params, x *Node, epsilon float64) *Node {
	d := x.Shape().Dim(-1)
	return Normalize(x, p.Vector("weight", One, d), p.Vector("bias", Zero, d), epsilon)
}

// Normalize is LayerNorm with a gain and a bias [d] that are parameters of another's.
func Normalize(x, gain, bias *Node, epsilon float64) *Node {
	return AddVector(Mul(standardize(x, epsilon), ExpandLeft(gain, x.Rank())), bias)
}

// standardize gives each row of x mean 0 and variance 1.
func standardize(x *Node, epsilon float64) *Node {
	var scale *Node // [..., 1]
	return pullback(x, func(x *Node) []*Node {
		c := Sub(x, mean(x))
		scale = Inverse(Sqrt(AddScalar(mean(Mul(c, c)), epsilon)))
		return []*Node{Mul(c, scale)}
	}, func(y, dy []*Node) *Node {
		along := Mul(y[0], mean(Mul(y[0], dy[0])))
		return Mul(scale, Sub(Sub(dy[0], mean(dy[0])), along))
	})[0]
}

// RMSNorm gives each row of x [..., d] the mean square 1, times a gain (Zhang and
// Sennrich, 2019, https://arxiv.org/abs/1910.07467).
func RMSNorm(p Params, x *Node, epsilon float64) *Node {
	gain := p.Vector("weight", One, x.Shape().Dim(-1))
	return Mul(normalize(x, epsilon), ExpandLeft(gain, x.Rank()))
}

// normalize gives each row of x the mean square 1.
func normalize(x *Node, epsilon float64) *Node {
	var scale *Node // [..., 1]
	return pullback(x, func(x *Node) []*Node {
		scale = Inverse(Sqrt(AddScalar(mean(Mul(x, x)), epsilon)))
		return []*Node{Mul(x, scale)}
	}, func(y, dy []*Node) *Node {
		return Mul(scale, Sub(dy[0], Mul(y[0], mean(Mul(y[0], dy[0])))))
	})[0]
}

// mean returns the mean over the last axis, which stays with length 1.
func mean(x *Node) *Node {
	return MulScalar(ReduceAndKeep(x, ReduceSum, -1), 1/float64(x.Shape().Dim(-1)))
}

// Activation returns the function that Hugging Face calls by that name, or an error.
func Activation(name string) (func(*Node) *Node, error) {
	switch name {
	case "gelu_new", "gelu_pytorch_tanh", "gelu_fast":
		return geluTanh, nil
	case "gelu":
		return gelu, nil
	case "relu":
		return relu, nil
	case "silu", "swish":
		return silu, nil
	case "tanh":
		return Tanh, nil
	}
	return nil, fmt.Errorf("activation %q is not known; known are gelu_new, gelu_pytorch_tanh, gelu_fast, gelu, relu, silu, swish and tanh", name)
}

// geluTanh is GELU by its tanh form (Hendrycks and Gimpel, 2016,
// https://arxiv.org/abs/1606.08415). The cube is two products: Pow is slow.
func geluTanh(x *Node) *Node {
	cube := Mul(Mul(x, x), x)
	t := Tanh(MulScalar(Add(x, MulScalar(cube, 0.044715)), math.Sqrt(2/math.Pi)))
	return MulScalar(Mul(x, AddScalar(t, 1.0)), 0.5)
}

// gelu is x times the normal distribution function of x.
func gelu(x *Node) *Node {
	return MulScalar(Mul(x, AddScalar(Erf(MulScalar(x, math.Sqrt2/2)), 1.0)), 0.5)
}

// silu is x times its logistic function.
func silu(x *Node) *Node { return Mul(x, Logistic(x)) }

func relu(x *Node) *Node { return Max(x, ZerosLike(x)) }

// PickRows returns x[b, at[b]] of x [B, T, d] for each b: [B, d], at int32 [B].
func PickRows(x, at *Node) *Node {
	s := x.Shape()
	row := Add(MulScalar(Iota(x.Graph(), at.Shape(), 0), int32(s.Dim(1))), at)
	return Gather(Reshape(x, s.Dim(0)*s.Dim(1), s.Dim(2)), ExpandDims(row, -1))
}
