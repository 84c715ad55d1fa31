//go:build !race

package methods_test

const raced = false
