package allreduce_test

import (
	"fmt"
	"testing"

	"carillon/allreduce"
	"carillon/allreduce/ringtest"
	"carillon/job"
)

// loraParameters is the size of the demo's adapter.
const loraParameters = 32 << 10

func BenchmarkMaxExponents(b *testing.B) {
	g := dense(1, loraParameters)[0]
	exps := make([]byte, allreduce.Blocks(len(g)))
	b.SetBytes(4 * loraParameters)
	for b.Loop() {
		allreduce.MaxExponents(exps, g)
	}
}

func BenchmarkSumLanes(b *testing.B) {
	g := dense(1, loraParameters)[0]
	for _, codec := range codecs {
		b.Run(string(codec), func(b *testing.B) {
			q := quantizer(b, codec, 8)
			sum, exps := make([]int32, len(g)), make([]byte, allreduce.Blocks(len(g)))
			allreduce.MaxExponents(exps, g)
			b.SetBytes(4 * loraParameters)
			for b.Loop() {
				q.SumLanes(sum, exps, allreduce.Lane{Gradient: g, Noise: rounding})
			}
		})
	}
}

func BenchmarkRequantizeAndDequantize(b *testing.B) {
	g := dense(8, loraParameters)
	q := quantizer(b, allreduce.Q8, 8)
	sum, exps := make([]int32, loraParameters), make([]byte, allreduce.Blocks(loraParameters))
	for l := range g {
		allreduce.MaxExponents(exps, g[l])
	}
	var lanes []allreduce.Lane
	for l := range g {
		lanes = append(lanes, allreduce.Lane{Gradient: g[l], Noise: rounding})
	}
	q.SumLanes(sum, exps, lanes...)
	got, e := make([]int32, len(sum)), make([]byte, len(exps))
	b.SetBytes(4 * loraParameters)
	for b.Loop() {
		copy(got, sum)
		copy(e, exps)
		q.Requantize(got, e, requanted, 0)
		if _, err := q.Dequantize(got, e, func(int, []float32) {}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStep is everything between gradients and update of a step of 8 lanes, on
// all nodes: exponents, agreement, quantizing, sum, canonical form; of the demo's
// adapter, and of a small model that is trained whole. The time is that of all nodes
// together on this machine's cores.
func BenchmarkStep(b *testing.B) {
	for _, n := range []int{loraParameters, 4 << 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkStep(b, dense(8, n)) })
	}
}

func benchmarkStep(b *testing.B, g [][]float32) {
	q := quantizer(b, allreduce.Q8, 8)
	for _, ranks := range []int{1, 3} {
		for _, alg := range []allreduce.Algorithm{allreduce.TwoShot, allreduce.Ring, allreduce.FanOut} {
			b.Run(fmt.Sprintf("N=%d/%v", ranks, alg), func(b *testing.B) {
				meshes := ringtest.New(ranks).Meshes()
				for b.Loop() {
					for _, err := range ringtest.Each(meshes, func(m allreduce.Mesh) error {
						_, _, err := ringtest.Step(b.Context(), m, alg, q, g, 3)
						return err
					}) {
						if err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}

// dense makes lanes of values without absent blocks.
func dense(lanes, n int) [][]float32 {
	g := make([][]float32, lanes)
	for l := range g {
		g[l] = make([]float32, n)
		key := job.NewKey(1, job.ForProbe, uint64(l))
		for i := range g[l] {
			g[l][i] = key.Uniform(uint64(i)) - 0.5
		}
	}
	return g
}
