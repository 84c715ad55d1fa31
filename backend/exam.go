package backend

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// The exam is a graph with what fine-tuning needs and devices are known to get
// wrong: rows of a table, some of them asked for often and row 0 among them, whose
// gradient is a scatter; matrix products; attention; sums and maxima; products of
// bfloat16. It knows no model.
const (
	examRows   = 8   // sequences
	examLen    = 32  // tokens of each
	examWidth  = 64  // of a token
	examHidden = 256 // of the layer in the middle
	examWords  = 96  // rows of the table
)

// times is how often the same program must give the same bits.
const times = 3

// A part of the exam's answer, and how far it may be from the reference, relative to
// the largest value of the part. Float32 leaves about 1e-6; products of 10 bits (TF32),
// which would show first, 5e-4.
type part struct {
	name    string
	allowed float64
	values  []float32
}

// parts returns the answer's parts in the order of the graph's outputs, empty.
func parts() []part {
	const exact = 2e-5
	return []part{
		{name: "loss", allowed: exact},
		{name: "attention", allowed: exact},
		{name: "maxima", allowed: exact},
		{name: "the product of bfloat16", allowed: 2e-2},
		{name: "the gradient of the table", allowed: exact},
		{name: "the gradient of the queries", allowed: exact},
		{name: "the gradient of the layer", allowed: exact},
	}
}

// exam is the graph. ids is [rows, len], table [words, width], q [width, width] and
// w [width, hidden].
func exam(ids, table, q, w *Node) []*Node {
	x := Gather(table, ExpandAxes(ids, -1))                                            // [rows, len, width]
	scores := MulScalar(Einsum("btd,bsd->bts", Einsum("btd,de->bte", x, q), x), 0.125) // [rows, len, len]
	attention := Softmax(scores, -1)
	x = Add(x, Einsum("bts,bsd->btd", attention, x))
	h := Tanh(Einsum("btd,dh->bth", x, w)) // [rows, len, hidden]
	half := Einsum("btd,dh->bth", ConvertDType(x, dtypes.BFloat16), ConvertDType(w, dtypes.BFloat16))
	x = Add(x, Einsum("bth,dh->btd", h, w))
	logits := LogSoftmax(Einsum("btd,vd->btv", x, table), -1) // [rows, len, words]
	hits := OneHot(ids, examWords, dtypes.Float32)
	loss := Neg(ReduceAllMean(ReduceSum(Mul(hits, logits), -1)))
	outputs := []*Node{loss, attention, ReduceMax(h, 1), ConvertDType(half, dtypes.Float32)}
	return append(outputs, Gradient(loss, table, q, w)...)
}

// examInputs are the same everywhere: no random numbers.
func examInputs() []any {
	ids := make([]int32, examRows*examLen)
	for i := range ids {
		ids[i] = int32(i * i % 29 % examWords)
	}
	return []any{
		tensors.FromFlatDataAndDimensions(ids, examRows, examLen),
		ramp(examWords, examWidth, 1),
		ramp(examWidth, examWidth, 0.3),
		ramp(examWidth, examHidden, 0.2),
	}
}

// ramp returns a matrix of numbers between -scale and scale.
func ramp(rows, cols int, scale float32) *tensors.Tensor {
	v := make([]float32, rows*cols)
	for i := range v {
		v[i] = (float32(i*7919%1013)/506 - 1) * scale
	}
	return tensors.FromFlatDataAndDimensions(v, rows, cols)
}

// solve compiles the exam and runs it once.
func solve(b compute.Backend) ([]part, error) {
	answers, err := solveTimes(b, 1)
	if err != nil {
		return nil, err
	}
	return answers[0], nil
}

// solveTimes compiles the exam once and runs it n times.
func solveTimes(b compute.Backend, n int) ([][]part, error) {
	e, err := NewExec(b, exam)
	if err != nil {
		return nil, fmt.Errorf("compile the trial's graph: %w", err)
	}
	defer e.Finalize()
	var answers [][]part
	for range n {
		out, err := e.Call(examInputs()...)
		if err != nil {
			return nil, fmt.Errorf("run the trial's graph: %w", err)
		}
		answer := parts()
		for i, t := range out {
			if err := tensors.ConstFlatData(t, func(v []float32) { answer[i].values = slices.Clone(v) }); err != nil {
				return nil, fmt.Errorf("read %s back: %w", answer[i].name, err)
			}
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// compare returns how far the answers are from the one that is wanted, relative to
// the largest value of each part, and the hash of their bits. It is an error if one
// is too far, or if they are not all the same.
func compare(answers [][]part, want []part) (worst float64, bits string, err error) {
	for i, got := range answers[0] {
		off := distance(got.values, want[i].values)
		if !(off <= got.allowed) { // not a number is too far
			return off, "", fmt.Errorf("its numbers are wrong: %s is off by %.0e of its largest value, more than %.0e", got.name, off, got.allowed)
		}
		if got.allowed < 1e-3 {
			worst = max(worst, off)
		}
	}
	bits = hashOf(answers[0])
	for _, again := range answers[1:] {
		if hashOf(again) != bits {
			return worst, "", errors.New("it gives other bits each time")
		}
	}
	return worst, bits, nil
}

// distance is the largest difference of two tensors relative to the largest value
// of the second; NaN if there is one.
func distance(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var off, largest float64
	for i, w := range want {
		d := math.Abs(float64(got[i]) - float64(w))
		if math.IsNaN(d) {
			return d
		}
		off, largest = max(off, d), max(largest, math.Abs(float64(w)))
	}
	return off / largest
}

func hashOf(answer []part) string {
	h := sha256.New()
	for _, p := range answer {
		_ = binary.Write(h, binary.LittleEndian, p.values) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}
