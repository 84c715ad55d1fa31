package wire

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"carillon/allreduce"
	"carillon/job"
)

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reportCPU adds the processor time of one operation on one node.
func reportCPU(b *testing.B, nodes int, since time.Duration) {
	b.ReportMetric(float64((cpu()-since).Microseconds())/float64(b.N*nodes), "cpu-µs/op/node")
}

// All nodes are in one process, so wall time is that of all of them on the
// cores that there are.
func BenchmarkExchange(b *testing.B) {
	for _, n := range []int{2, 3} {
		for _, size := range []int{200, 12_000, 1 << 20} {
			b.Run(fmt.Sprintf("nodes=%d/bytes=%d", n, size), func(b *testing.B) {
				links, peers := group(b, n)
				meshes := form(b, links, peers, 1, nil)
				message := make([]byte, size)
				start := cpu()
				b.ResetTimer()
				noErrors(b, everyRank(n, func(r int) error {
					out, from := toOthers(n, r, message), others(n, r)
					for i := range b.N {
						meshes[r].Begin(uint64(i+1), 0)
						if _, err := meshes[r].Exchange(b.Context(), hop0, out, from); err != nil {
							return err
						}
					}
					return nil
				}))
				reportCPU(b, n, start)
			})
		}
	}
}

// A step's sum: agreement and two-shot sum, without the quantizing before and
// the update after it.
func BenchmarkSum(b *testing.B) {
	const params, lanes = 32_768, 8
	for _, n := range []int{1, 2, 3} {
		b.Run(fmt.Sprintf("nodes=%d/params=%d", n, params), func(b *testing.B) {
			links, peers := group(b, n)
			meshes := form(b, links, peers, 1, nil)
			start := cpu()
			b.ResetTimer()
			noErrors(b, everyRank(n, func(r int) error {
				q, err := allreduce.NewQuantizer(allreduce.Q8, lanes)
				if err != nil {
					return err
				}
				sum, exps := make([]int32, params), make([]byte, allreduce.Blocks(params))
				for i := range b.N {
					for k := range sum {
						sum[k] = int32(k*7+i)%200 - 100
					}
					for k := range exps {
						exps[k] = 120
					}
					meshes[r].Begin(uint64(i+1), 0)
					if _, _, err := allreduce.Agree(b.Context(), meshes[r], exps, allreduce.Tail{}, nil); err != nil {
						return err
					}
					if err := allreduce.Sum(b.Context(), meshes[r], allreduce.TwoShot, q, sum, exps, job.NewKey(1, job.ForRequantize, uint64(i))); err != nil {
						return err
					}
				}
				return nil
			}))
			reportCPU(b, n, start)
		})
	}
}
