package s3

import (
	"testing"

	"carillon/objstore"
	"carillon/objstore/storetest"
	"carillon/objstore/storetest/s3test"
)

// open returns a store of its own in a server's bucket.
func open(t *testing.T, server *s3test.Server) *Store {
	t.Helper()
	a, err := ParseAddress(server.Address(prefixOf(t)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(a)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestS3(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			server := s3test.Start(t, secure)
			storetest.Run(t, func(t *testing.T) objstore.Store { return open(t, server) })
		})
	}
}
