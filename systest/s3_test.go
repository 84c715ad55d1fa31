package systest

import (
	"testing"

	"carillon/coordinator"
	"carillon/launch"
	"carillon/objstore/storetest/s3test"
)

// Everything is killed, the machine is lost with its folders, and another one goes on
// from the bucket, with another number of nodes.
func TestSameBitsFromABucketOnAnotherMachine(t *testing.T) {
	server := s3test.Start(t, false)
	want := alone(t, spec(t, long...))
	r := start(t, spec(t, long...), 3, "")
	r.Spec.Store = server.Address("team")
	killEverything(t, r, func(s coordinator.Status) bool { return s.Saved >= 5 })
	again := r.again(t, 2)
	again.Spec.OutputDir = t.TempDir()
	res, err := launch.Run(t.Context(), again.Config)
	if err != nil {
		t.Fatalf("%v%s", err, logs(again.Spec.OutputDir))
	}
	if res.AdapterSHA256 != want.adapter || res.Steps != longSteps {
		t.Errorf("adapter %s after %d steps, want %s after %d", res.AdapterSHA256, res.Steps, want.adapter, longSteps)
	}
	again.Resume = false
	again.refused(t, "holds a checkpoint of step", "--resume", "--store")
}
