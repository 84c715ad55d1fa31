package backend

import "strings"

// An xlaFlag is one of XLA's, with the reason why it is set. docs/backends.md has the
// same table.
type xlaFlag struct{ name, value, reason string }

// cudaFlags make a GPU give the same bits in every run and process. XLA ends a process
// whose XLA_FLAGS has a word that it does not know, which the trial turns into a reason.
//
// That they hold, and that the numbers are right under them, is not believed but tried:
// XLA's deterministic scatter has given wrong values before.
var cudaFlags = []xlaFlag{
	{"xla_gpu_deterministic_ops", "true", "no sums by atomic additions, whose order differs from run to run: scatter and reductions take another way, or are refused"},
	{"xla_gpu_autotune_level", "0", "no kernel is chosen by a stopwatch, which another process may read differently"},
}

// text returns flags as XLA_FLAGS takes them.
func text(flags []xlaFlag) string {
	var words []string
	for _, f := range flags {
		words = append(words, "--"+f.name+"="+f.value)
	}
	return strings.Join(words, " ")
}
