// Package open opens an object store by its address, as a recipe, a flag and a job's
// nodes have it: a folder's path, or s3://BUCKET/PREFIX.
package open

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"carillon/objstore"
	"carillon/objstore/dir"
	"carillon/objstore/s3"
)

const (
	// callsAtOnce bounds a process's connections to a bucket.
	callsAtOnce = 16
	// patience is how long a bucket may fail to serve a call.
	patience = time.Minute
	// impatience is how long where somebody waits, who may have mistyped its address.
	impatience = 10 * time.Second
)

// Store returns the store at an address, for a process that has time.
func Store(ctx context.Context, address string) (objstore.Store, error) {
	return within(ctx, address, patience)
}

// Now is Store for a command that somebody waits for.
func Now(ctx context.Context, address string) (objstore.Store, error) {
	return within(ctx, address, impatience)
}

// within opens a store once it has answered.
func within(ctx context.Context, address string, first time.Duration) (objstore.Store, error) {
	if Local(address) {
		return dir.Open(address)
	}
	a, err := s3.ParseAddress(address)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s, err := s3.Open(a)
	if err != nil {
		return nil, err
	}
	// Whoever may use a store may list it; that tells a missing bucket from a closed one.
	if err := objstore.Retry(s, first).List(ctx, "store-check/none/", func(string) error { return nil }); err != nil {
		return nil, fmt.Errorf("open store %s: %w", s, err)
	}
	var served objstore.Store = s
	if a.PerSecond > 0 {
		served = objstore.Paced(a.PerSecond, s)
	}
	return objstore.Retry(objstore.AtMost(callsAtOnce, served), patience), nil
}

// Local says whether an address is that of a folder.
func Local(address string) bool { return !strings.Contains(address, "://") }

// Absolute returns an address that means the same in every folder, or what is wrong with it.
func Absolute(address string) (string, error) {
	if Local(address) {
		return filepath.Abs(address)
	}
	_, err := s3.ParseAddress(address)
	return address, err
}
