package s3

import (
	"crypto/sha256"
	"strings"
	"testing"
)

// prefixOf is a place in the bucket for one test.
func prefixOf(t *testing.T) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name())
}

func sumOf(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}
