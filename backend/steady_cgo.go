//go:build cgo && linux && (amd64 || arm64)

package backend

// #include <malloc.h>
// static void carillon_keep(void) {
// #ifdef __GLIBC__
// 	mallopt(M_MMAP_MAX, 0);
// 	mallopt(M_TRIM_THRESHOLD, -1);
// 	malloc_trim(0);
// #endif
// }
import "C"

// Keep makes the C library keep the memory that XLA frees on the CPU for the next
// time, instead of giving it back to the system, which would have to clear it page
// by page again: of a large step that is a fifth of the time. Call it when everything
// is compiled; what lies about from compiling is given back.
//
// Blocks above 64 MB are kept only by a process that was started with SteadyEnv.
func (b *Backend) Keep() {
	if b.Kind() == CPU {
		C.carillon_keep()
	}
}
