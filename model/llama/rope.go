package llama

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// rope is how config.json changes the angles of rotary positions: as rope_scaling,
// or as rope_parameters.
type rope struct {
	RopeType                      string   `json:"rope_type"`
	Type                          string   `json:"type"` // older files'
	RopeTheta                     *float64 `json:"rope_theta"`
	PartialRotaryFactor           *float64 `json:"partial_rotary_factor"`
	Factor                        float64  `json:"factor"`
	LowFreqFactor                 float64  `json:"low_freq_factor"`
	HighFreqFactor                float64  `json:"high_freq_factor"`
	OriginalMaxPositionEmbeddings float64  `json:"original_max_position_embeddings"`
}

// UnmarshalJSON refuses fields that are not known: each of them changes angles.
func (r *rope) UnmarshalJSON(data []byte) error {
	type plain rope
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode((*plain)(r)); err != nil {
		return fmt.Errorf("rope_scaling or rope_parameters: %w", err)
	}
	return nil
}

// name is the kind of scaling.
func (r rope) name() string {
	switch {
	case r.RopeType != "":
		return r.RopeType
	case r.Type != "":
		return r.Type
	}
	return "default"
}

// rotation returns the angles per position, one for each pair of a head's numbers.
func (c Config) rotation(headDim int) ([]float64, error) {
	r, theta := rope{}, c.RopeTheta
	switch {
	case c.RopeParameters != nil && c.RopeScaling != nil:
		return nil, fmt.Errorf("rope_scaling and rope_parameters are both there; want one")
	case c.RopeParameters != nil:
		r = *c.RopeParameters
	case c.RopeScaling != nil:
		r = *c.RopeScaling
	}
	if r.RopeTheta != nil {
		theta = *r.RopeTheta
	}
	if !(theta > 1 && theta < 1e12) {
		return nil, fmt.Errorf("rope_theta is %v; it must lie between 1 and 1e12", theta)
	}
	if r.PartialRotaryFactor != nil && *r.PartialRotaryFactor != 1 {
		return nil, fmt.Errorf("partial_rotary_factor is %v; only 1 is built", *r.PartialRotaryFactor)
	}
	frequencies := make([]float64, headDim/2)
	for i := range frequencies {
		frequencies[i] = math.Pow(theta, -2*float64(i)/float64(headDim))
	}
	return frequencies, r.scale(frequencies)
}

// scale changes the angles per position.
func (r rope) scale(frequencies []float64) error {
	switch r.name() {
	case "default":
		return nil
	case "linear", "llama3":
		if !(r.Factor >= 1 && r.Factor < 1e6) {
			return fmt.Errorf("the factor of rope_type %s is %v; it must lie between 1 and 1e6", r.name(), r.Factor)
		}
	default:
		return fmt.Errorf("rope_type %q is not built; built are default, linear and llama3", r.name())
	}
	if r.name() == "llama3" {
		return r.bend(frequencies)
	}
	for i := range frequencies {
		frequencies[i] /= r.Factor
	}
	return nil
}

// bend is Llama 3.1's scaling: waves that are longer than the original context by
// low_freq_factor are stretched by factor, those shorter by high_freq_factor stay,
// and those between go over from one to the other.
func (r rope) bend(frequencies []float64) error {
	if !(r.LowFreqFactor > 0 && r.HighFreqFactor > r.LowFreqFactor && r.OriginalMaxPositionEmbeddings >= 1) {
		return fmt.Errorf("rope_type llama3 has low_freq_factor %v, high_freq_factor %v and original_max_position_embeddings %v; want 0 < low < high and at least 1",
			r.LowFreqFactor, r.HighFreqFactor, r.OriginalMaxPositionEmbeddings)
	}
	for i, f := range frequencies {
		waves := r.OriginalMaxPositionEmbeddings * f / (2 * math.Pi) // in the original context
		kept := (waves - r.LowFreqFactor) / (r.HighFreqFactor - r.LowFreqFactor)
		kept = min(max(kept, 0), 1)
		frequencies[i] = kept*f + (1-kept)*f/r.Factor
	}
	return nil
}

// stride is the number of positions between rows of the coarse table.
const stride = 512

// angles returns the cosines and sines [B, 1, T, hd/2] of positions (int32 [B, T],
// up to twice the context). An angle is too large for a device's own cosine: it is
// the sum of two that are looked up in tables made here in float64, one of every
// stride-th position and one of those between.
func (m Model) angles(positions *Node) (cos, sin *Node) {
	g, b, t := positions.Graph(), positions.Shape().Dim(0), positions.Shape().Dim(1)
	look := func(step float64, rows int, at *Node) (cos, sin *Node) {
		c, s := m.table(step, rows)
		at = ExpandDims(at, -1)
		return Gather(Const(g, c), at), Gather(Const(g, s), at) // [B, T, hd/2]
	}
	high := Div(positions, Scalar(g, positions.DType(), stride))
	low := Sub(positions, MulScalar(high, stride))
	c1, s1 := look(stride, 2*m.MaxPositionEmbeddings/stride+1, high)
	c2, s2 := look(1, stride, low)
	cos, sin = Sub(Mul(c1, c2), Mul(s1, s2)), Add(Mul(s1, c2), Mul(c1, s2))
	return Reshape(cos, b, 1, t, m.headDim/2), Reshape(sin, b, 1, t, m.headDim/2)
}

// table returns the cosines and sines [rows, hd/2] of the positions 0, step, 2·step…
func (m Model) table(step float64, rows int) (cos, sin [][]float32) {
	for row := range rows {
		c, s := make([]float32, m.headDim/2), make([]float32, m.headDim/2)
		for i, f := range m.frequencies {
			sin, cos := math.Sincos(step * float64(row) * f)
			c[i], s[i] = float32(cos), float32(sin)
		}
		cos, sin = append(cos, c), append(sin, s)
	}
	return cos, sin
}
