package backend

import (
	"os"
	"strings"
)

// mallocEnv is where the C library reads its settings when a process starts.
const mallocEnv = "GLIBC_TUNABLES"

// SteadyEnv is what to add to the environment of a process whose steps take large
// blocks of memory: one arena for all of XLA's threads. A block above 64 MB that
// belongs to another arena than the main one is always taken from the system and given
// back (glibc, malloc/arena.c: HEAP_MAX_SIZE), and every arena keeps its own gaps. The
// compiler's threads wait for each other then; that they keep more small blocks to
// themselves (tcache_count) makes it a sixth more of its time, instead of a third. It is
// empty if the user has settings of their own.
func SteadyEnv() []string {
	had := os.Getenv(mallocEnv)
	if strings.Contains(had, "glibc.malloc.") {
		return nil
	}
	ours := "glibc.malloc.arena_max=1:glibc.malloc.tcache_count=127"
	return []string{mallocEnv + "=" + strings.TrimPrefix(had+":"+ours, ":")}
}
