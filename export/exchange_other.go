//go:build !linux

package export

// exchange swaps the names of two directories, with a moment without the second.
func exchange(a, b string) error { return exchangeSlowly(a, b) }
