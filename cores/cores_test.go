package cores

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
)

// Each element is in one part, and all parts but the last are whole.
func TestInParts(t *testing.T) {
	for _, threads := range []int{1, 2, 7} {
		t.Run(fmt.Sprint(threads), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
			for _, n := range []int{0, 1, 63, 64, 65, 640, 1000} {
				seen := make([]atomic.Int32, n)
				InParts(n, 64, func(from, to int) {
					if from%64 != 0 || to != min(n, from+64) || from >= to {
						t.Errorf("part [%d, %d) of %d", from, to, n)
					}
					for i := from; i < to; i++ {
						seen[i].Add(1)
					}
				})
				for i := range seen {
					if got := seen[i].Load(); got != 1 {
						t.Errorf("element %d of %d is in %d parts", i, n, got)
					}
				}
			}
		})
	}
}
