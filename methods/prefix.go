package methods

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/job"
	"carillon/model/nn"
)

// Prefix trains N keys and values for each layer, which go before those of the
// tokens:
//
//	attention(q, [P_k; k], [P_v; v]),  P_k, P_v [H, N, hd] for each layer
//
// All are one tensor [N, 2·L·H·hd] that holds for each place the key of layer 0,
// its value, the key of layer 1, … The tokens' positions go on from N; keys of the
// prefix are not turned by a position. With Projection the tensor is what a network
// with one layer makes of N rows, and the network is trained: embedding → tanh →
// tensor. (Li and Liang, 2021, https://arxiv.org/abs/2101.00190; names, shapes and
// order as in PEFT.)
//
// Of a model with an encoder the decoder's attention to itself alone has a prefix,
// and its layer i takes the slots 4i and 4i+1 mod 2L: PEFT's files are to be had
// that way only.
type Prefix struct {
	N          int
	Projection bool
	Hidden     int    // width of the network; 0: that of a key
	Init       string // text, sample_vocab, zero or random; "": text if there is one, sample_vocab otherwise
	Text       string
}

// newPrefix reads the recipe's section prefix.
func newPrefix(spec job.Spec) (nn.Method, error) {
	p := spec.Prefix
	switch {
	case p == nil:
		return nil, fmt.Errorf("method prefix needs a section prefix with num_virtual_tokens")
	case p.NumVirtualTokens < 1:
		return nil, fmt.Errorf("prefix.num_virtual_tokens is %d; it must be at least 1", p.NumVirtualTokens)
	case p.PrefixProjection && p.PrefixInitText != "":
		return nil, fmt.Errorf("prefix.prefix_init_text is set with prefix_projection: the network cannot begin as a text")
	case p.PrefixInit == "text" && p.PrefixInitText == "":
		return nil, fmt.Errorf("prefix.prefix_init is text, and prefix_init_text is empty")
	}
	return Prefix{p.NumVirtualTokens, p.PrefixProjection, p.EncoderHiddenSize, p.PrefixInit, p.PrefixInitText}, nil
}

// Trains says yes to a classifier's head alone.
func (Prefix) Trains(name string) (string, bool) { return wrapped(name) }

// Check has nothing to ask for.
func (Prefix) Check([]string) error { return nil }

// Lead returns how many positions the prefix takes.
func (m Prefix) Lead() int { return m.N }

// Input moves the tokens behind the prefix.
func (m Prefix) Input(_ nn.Params, s nn.Sequence) nn.Sequence {
	if !s.Encoder {
		s.Positions = AddScalar(s.Positions, int32(m.N))
	}
	return s
}

// KeysValues puts the layer's part of the prefix before k and v [B, H, T, hd].
func (m Prefix) KeysValues(p nn.Params, layer, layers int, k, v *Node) (keys, values *Node) {
	h, hd := k.Shape().Dim(1), k.Shape().Dim(3)
	beside := strings.HasPrefix(p.Path(), "decoder.") // an encoder
	slots := nn.Once(p, promptKey, func() []*Node {
		return nn.Slots(Reshape(m.tensor(p, 2*layers, h*hd, beside), m.N, 2*layers, h, hd)) // [N, H, hd] each
	})
	slot := 2 * layer
	if beside {
		slot = 4 * layer % (2 * layers)
	}
	return m.put(slots[slot], k), m.put(slots[slot+1], v)
}

// put puts a slot's rows [N, H, hd] before x [B, H, T, hd].
func (m Prefix) put(rows, x *Node) *Node {
	b, h, hd := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(3)
	rows = ExpandDims(TransposeAllAxes(rows, 1, 0, 2), 0) // [1, H, N, hd]
	return Concatenate([]*Node{BroadcastToDims(rows, b, h, m.N, hd), x}, 2)
}

// tensor returns the prefix [N, slots·d].
func (m Prefix) tensor(p nn.Params, slots, d int, beside bool) *Node {
	if m.Projection {
		return m.project(p, slots, d)
	}
	first := cmp.Or(m.Init, "sample_vocab")
	if m.Init == "" && m.Text != "" {
		first = "text"
	}
	switch {
	case first == "random":
		return p.Trainable(promptKey, nn.Normal(1), m.N, slots*d)
	case first == "zero" || beside && m.Init == "":
		return p.Trainable(promptKey, nn.Zero, m.N, slots*d)
	case beside:
		panic(fmt.Errorf("prefix.prefix_init is %s: layers of this model's decoder share their part of the prefix, so that it cannot begin as keys and values of each; want zero or random", first))
	}
	return p.TrainableFrom(promptKey, m.first, m.N, slots*d)
}

// project returns the prefix as the network makes it.
func (m Prefix) project(p nn.Params, slots, d int) *Node {
	const at = "prompt_encoder."
	hidden := cmp.Or(m.Hidden, d)
	x := p.Trainable(at+"embedding.weight", nn.Normal(1), m.N, d)
	x = Tanh(affine(p, at+"transform.0", x, hidden)) // [N, hidden]
	return affine(p, at+"transform.2", x, slots*d)
}

// affine is a trained map of x [..., in], which begins as PyTorch's do.
func affine(p nn.Params, key string, x *Node, out int) *Node {
	in := x.Shape().Dim(-1)
	first := nn.Uniform(1 / math.Sqrt(float64(in)))
	return nn.AddVector(nn.MatT(x, p.Trainable(key+".weight", first, out, in)), p.Trainable(key+".bias", first, out))
}

// first fills the prefix with the base's own keys and values of a text.
func (m Prefix) first(b nn.Base, key job.Key, dst []float32) (err error) {
	ids := drawn(b, key, m.N)
	if m.Text != "" {
		if ids, err = words(b, m.Text, m.N); err != nil {
			return fmt.Errorf("prefix.prefix_init_text: %w", err)
		}
	}
	values, err := b.KeysValues(ids)
	if err == nil && len(values) != len(dst) {
		err = fmt.Errorf("the base has %d keys and values; want %d", len(values), len(dst))
	}
	copy(dst, values)
	return err
}
