//go:build race

package systest

// raced says that the race detector watches, under which the Go backend takes
// about ten times as long: then each kind of test runs once, and CI's leg
// without the detector runs them all.
const (
	raced     = true
	longSteps = 24
)
