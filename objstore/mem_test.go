package objstore_test

import (
	"testing"

	"carillon/objstore"
	"carillon/objstore/storetest"
)

func TestMem(t *testing.T) {
	storetest.Run(t, func(*testing.T) objstore.Store { return &objstore.Mem{} })
}
