package systest

import (
	"testing"

	"carillon/backend"
	"carillon/backend/backendtest"
)

// The promise on XLA: one node against three of which one is killed.
func TestSameBitsOnXLA(t *testing.T) {
	be := backendtest.CPU(t)
	t.Logf("the nodes compute on %s", be.Kind())
	onXLA := func(nodes int, drills string) *run {
		r := start(t, spec(t, "compression=q16"), nodes, drills) // finer than q8: no difference is rounded away
		r.NodeFlags = []string{"--backend", backend.CPU, "--offline"}
		return r
	}
	_, want := onXLA(1, "").do(t)
	onXLA(3, "kill=n2@5").verdict(t, want)
}
