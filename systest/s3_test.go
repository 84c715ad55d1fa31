package systest

import (
	"os"
	"path/filepath"
	"strings"
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

// The newest checkpoint rots in the bucket: the job goes back to the one before, says so,
// and ends in the same bits.
func TestSameBitsPastADamagedCheckpoint(t *testing.T) {
	server := s3test.Start(t, false)
	want := alone(t, spec(t, long...))
	r := start(t, spec(t, long...), 2, "")
	r.Spec.Store = server.Address("team")
	killEverything(t, r, func(s coordinator.Status) bool { return s.Saved >= 10 })
	rot(t, server.Objects("team"))
	again := r.again(t, 3)
	told := &listener{news: news{t, again}}
	again.View = told
	again.verdict(t, want)
	if !strings.Contains(told.all, "STEPS ARE LOST") {
		t.Errorf("nothing was said of the steps that were lost:\n%s", told.all)
	}
}

// listener remembers what it is told.
type listener struct {
	news
	all string
}

func (l *listener) Note(text string) { l.all += text + "\n"; l.news.Note(text) }

// rot changes a byte in the newest checkpoint below a folder of objects.
func rot(t *testing.T, dir string) {
	t.Helper()
	manifests, err := filepath.Glob(filepath.Join(dir, "bells", "0-*", "manifest-*.json"))
	if err != nil || len(manifests) < 2 {
		t.Fatalf("%v, %v: want two checkpoints", manifests, err)
	}
	newest := filepath.Dir(manifests[len(manifests)-1])
	chunks, err := filepath.Glob(filepath.Join(newest, "[0-9a-f]*"))
	if err != nil || len(chunks) == 0 {
		t.Fatal(chunks, err)
	}
	b, err := os.ReadFile(chunks[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	write(t, chunks[0], string(b))
}
