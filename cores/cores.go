// Package cores spreads loops over the machine's cores.
package cores

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// InParts calls do for the parts of [0, n), of size elements each but for the last, and
// returns when all are done. Parts run at once, and a core takes another one when it is
// done with one, so that they may cost as they like: what do makes of a part must not
// depend on the others.
func InParts(n, size int, do func(from, to int)) {
	var taken atomic.Int64
	take := func() {
		for to := int(taken.Add(int64(size))); to < n+size; to = int(taken.Add(int64(size))) {
			do(to-size, min(to, n))
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (n+size-1)/size) - 1 {
		others.Go(take)
	}
	take()
	others.Wait()
}
