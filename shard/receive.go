package shard

import (
	"fmt"
	"io"

	"github.com/google/renameio/v2"
)

// Receive writes the shard that r gives to path and opens it. It must have the
// hash, in hexadecimal, that it was asked for by: then it is there, whole;
// otherwise the error says what came instead, and path is as it was.
func Receive(path, hash string, r io.Reader) (*Set, error) {
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return nil, fmt.Errorf("receive shard: %w", err)
	}
	defer f.Cleanup()
	if _, err := io.Copy(f, r); err != nil {
		return nil, fmt.Errorf("receive shard %s: %w", path, err)
	}
	s, err := mapped(f.File, hash)
	if err != nil {
		return nil, fmt.Errorf("receive shard %s: %w", path, err)
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		s.Close()
		return nil, fmt.Errorf("receive shard %s: %w", path, err)
	}
	return s, nil
}
