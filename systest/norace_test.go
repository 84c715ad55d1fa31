//go:build !race

package systest

const (
	raced     = false
	longSteps = 60
)
