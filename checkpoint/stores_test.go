package checkpoint

import (
	"fmt"
	"testing"

	"carillon/objstore"
	"carillon/objstore/open"
	"carillon/objstore/storetest/s3test"
)

// onEveryStore runs a test on stores in memory, in folders and in a bucket; empty returns
// another one each time.
func onEveryStore(t *testing.T, test func(t *testing.T, empty func() objstore.Store)) {
	at := func(t *testing.T, address func() string) func() objstore.Store {
		return func() objstore.Store {
			s, err := open.Store(t.Context(), address())
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	t.Run("memory", func(t *testing.T) { test(t, func() objstore.Store { return &objstore.Mem{} }) })
	t.Run("folder", func(t *testing.T) { test(t, at(t, func() string { return t.TempDir() })) })
	t.Run("bucket", func(t *testing.T) {
		server, n := s3test.Start(t, false), 0
		test(t, at(t, func() string { n++; return server.Address(fmt.Sprint("store", n)) }))
	})
}
