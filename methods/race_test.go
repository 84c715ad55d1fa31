//go:build race

package methods_test

// raced says that the race detector watches, under which the Go backend takes about
// ten times as long: then one family takes every method through the list, and the
// others one each. CI's leg without the detector takes them all.
const raced = true
