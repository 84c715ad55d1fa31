package systest

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carillon/launch"
	"carillon/objstore/dir"
	"carillon/testtool"
)

// refused runs r and wants an error with all words.
func (r *run) refused(t *testing.T, words ...string) {
	t.Helper()
	_, err := launch.Run(t.Context(), r.Config)
	if err == nil {
		t.Fatalf("no error; want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got error %q, want one with %q", err, w)
		}
	}
}

// What is in an output directory is never overwritten, and gone on with only by
// the same job.
func TestOutputOfAnotherJobIsLeftAlone(t *testing.T) {
	r := start(t, spec(t, "max_steps=4"), 1, "")
	r.do(t)
	r.refused(t, "step 4", "--resume", "--out")
	for _, tt := range []struct{ set, key string }{
		{"learning_rate=1e-3", "learning_rate"},
		{"lora.r=8", "lora"},
		{"lanes=4", "lanes"},
		{"seed=1", "seed"},
	} {
		t.Run(tt.key, func(t *testing.T) {
			again := r.again(t, 1)
			key, value, _ := strings.Cut(tt.set, "=")
			if err := again.Spec.Set(key, value); err != nil {
				t.Fatal(err)
			}
			again.refused(t, "another job", tt.key)
		})
	}
}

// A drill that does not happen is an error: the rehearsal was none. Where the
// recipe tells how many steps there are it is one before anything starts.
func TestDrillThatDoesNotFireIsAnError(t *testing.T) {
	start(t, spec(t, "max_steps=4"), 2, "kill=n2@9").refused(t, "kill=n2@9", "fire")
	start(t, spec(t, "max_steps=0", "num_epochs=0.4"), 2, "kill=n2@9").refused(t, "kill=n2@9", "not fired")
}

// A job that this machine cannot hold is refused with the parts of what it needs.
func TestTooLargeAJobIsRefused(t *testing.T) {
	r := start(t, spec(t, "micro_batch_size=50000000"), 3, "")
	r.refused(t, "GB", "activations of 50000000 x 32 tokens", "a smaller micro_batch_size", "--force")
	if logs(r.Spec.OutputDir) != "" {
		t.Error("processes were started")
	}
}

// A dead end in the data is one error, and no process is left.
func TestWrongDataIsAnError(t *testing.T) {
	r := start(t, spec(t), 2, "")
	r.Spec.Datasets[0].Path = filepath.Join(t.TempDir(), "none.jsonl")
	r.refused(t, "none.jsonl")
	r = start(t, spec(t), 2, "")
	write(t, r.Spec.Datasets[0].Path, "")
	r.refused(t, "data.jsonl")
	if logs(r.Spec.OutputDir) != "" {
		t.Error("processes were started for data that its beginning shows to be wrong")
	}
	r = start(t, spec(t), 2, "")
	write(t, r.Spec.Datasets[0].Path, strings.Repeat(`{"prompt": "the bell", "completion": " rings"}`+"\n", 1200)+`{"prompt": 3}`+"\n")
	r.refused(t, "data.jsonl:1201", "prompt")
}

// A coordinator whose port another process has says so and ends.
func TestTakenPortIsAnError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := testtool.Ports(t, 1)[0]
	for _, peer := range []string{
		"c1=" + taken.Addr().String() + "=" + free,
		"c1=" + free + "=" + taken.Addr().String(),
	} {
		out := t.TempDir()
		if _, err := dir.Open(out); err != nil {
			t.Fatal(err)
		}
		r := start(t, spec(t), 1, "")
		cmd := exec.Command(r.Command[0], "voter", "--id", "c1", "--peers", peer, "--dir", filepath.Join(out, "ledger"), "--store", out, "--out", out)
		hold, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		text, err := cmd.CombinedOutput()
		hold.Close()
		_, port, _ := net.SplitHostPort(taken.Addr().String())
		if err == nil || !strings.Contains(string(text), port) || !strings.Contains(string(text), "in use") {
			t.Errorf("%s: %v, %s; want an error that names port %s as in use", peer, err, text, port)
		}
	}
}
