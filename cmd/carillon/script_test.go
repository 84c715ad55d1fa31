package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"carillon/ask/asktest"
	"carillon/backend"
	"carillon/checkpoint"
	"carillon/export"
	"carillon/job"
	"carillon/model"
	"carillon/objstore/dir"
	"carillon/testtool"
)

func TestMain(m *testing.M) {
	testtool.EndAtOnce()
	testscript.Main(m, map[string]func(){"carillon": main})
}

// TestScripts runs the program as a user does, in processes of its own.
func TestScripts(t *testing.T) {
	models, err := filepath.Abs(filepath.Join("..", "..", "model", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("MODELS", models) // small models of each family
			env.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"tiny":   tiny,
			"prefix": prefix,
			"saved":  saved,
			"cut":    cut,
			"nan":    nan,
			"exits":  exits,
			"taken":  taken,
		},
	})
}

// tiny BASE ADAPTER [SEED] makes a small model and an adapter of it.
func tiny(ts *testscript.TestScript, _ bool, args []string) {
	be, err := backend.Open(context.Background(), backend.Options{Name: backend.Go})
	ts.Check(err)
	defer be.Close()
	base, adapter := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	seed := 1
	if len(args) > 2 {
		seed, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	ts.Check(asktest.BaseBy(be, base, uint64(seed)))
	ts.Check(asktest.Adapter(be, base, adapter))
}

// prefix BASE ADAPTER makes an adapter of another method, for a model of tiny.
func prefix(ts *testscript.TestScript, _ bool, args []string) {
	be, err := backend.Open(context.Background(), backend.Options{Name: backend.Go})
	ts.Check(err)
	defer be.Close()
	spec := job.Spec{Method: "prefix", Seed: 5, Prefix: &job.Prefix{NumVirtualTokens: 3}}
	ts.Check(asktest.Untrained(be, ts.MkAbs(args[0]), ts.MkAbs(args[1]), spec))
}

// saved RUN JOB [STEP] leaves what a run does: the adapter of tiny, saved after step 7.
func saved(ts *testscript.TestScript, _ bool, args []string) {
	store, err := dir.Open(ts.MkAbs(filepath.Join(args[0], "store")))
	ts.Check(err)
	m, state, err := checkpointOf(job.ID(args[1]), ts.MkAbs("adapter"), ts.MkAbs("base"))
	ts.Check(err)
	if len(args) > 2 {
		m.Step, err = strconv.ParseUint(args[2], 10, 64)
		ts.Check(err)
	}
	ctx := context.Background()
	head, err := checkpoint.Claim(ctx, store, m.Job, 1)
	ts.Check(err)
	m.Incarnation, m.Size = head.Incarnation, int64(len(state))
	for i, r := range checkpoint.Ranges(m.Size) {
		sum, err := checkpoint.PutChunk(ctx, store, m.Job, m.Generation, m.Step, state[r.From:r.To])
		ts.Check(err)
		m.Chunks = append(m.Chunks, checkpoint.Chunk{Index: i, SHA256: sum, Size: r.To - r.From})
	}
	_, err = checkpoint.Commit(ctx, store, head, m)
	ts.Check(err)
}

// checkpointOf makes a checkpoint of an adapter.
func checkpointOf(id job.ID, adapter, base string) (checkpoint.Manifest, []byte, error) {
	info, tensors, err := export.Open(adapter)
	if err != nil {
		return checkpoint.Manifest{}, nil, err
	}
	spec, err := job.Parse("tiny.yaml", fmt.Appendf(nil, "base_model: %s\nmethod: lora\ndatasets: [{path: x}]\n", base))
	if err != nil {
		return checkpoint.Manifest{}, nil, err
	}
	spec.LoRA = info.Spec.LoRA
	hash, err := model.HashDir(base, model.Options{})
	if err != nil {
		return checkpoint.Manifest{}, nil, err
	}
	zeros := hex.EncodeToString(make([]byte, 32))
	m := checkpoint.Manifest{Job: id, Identity: zeros, BaseHash: hex.EncodeToString(hash[:]), DataHash: zeros, Digest: zeros, Step: 7, Spec: spec.Encode()}
	var w []float32
	for _, t := range tensors { // export.Open gives them by name, which is flat order
		m.Params = append(m.Params, checkpoint.Param{Name: t.Name, Shape: t.Shape})
		w = append(w, t.Data...)
	}
	moments := make([]float32, len(w))
	return m, checkpoint.EncodeState(nil, w, moments, moments, 7), nil
}

// cut FILE takes the last half of a file away; its name may have a star.
func cut(ts *testscript.TestScript, _ bool, args []string) {
	paths, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(paths) != 1 {
		ts.Fatalf("%s: %d files", args[0], len(paths))
	}
	info, err := os.Stat(paths[0])
	ts.Check(err)
	ts.Check(os.Truncate(paths[0], info.Size()/2))
}

// taken AFTER begins to answer as AWS does on a spot machine, which is taken away after so
// many questions whether it is.
func taken(ts *testscript.TestScript, _ bool, args []string) {
	after, err := strconv.Atoi(args[0])
	ts.Check(err)
	asked := 0 // one client, one question at a time
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(w, "token")
		case !strings.HasSuffix(r.URL.Path, "/spot/instance-action"):
			w.WriteHeader(http.StatusNotFound)
		case asked < after:
			asked++
			w.WriteHeader(http.StatusNotFound)
		default:
			fmt.Fprint(w, `{"action":"terminate","time":"2026-11-27T12:00:00Z"}`)
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
}

// nan FILE makes the last weight of a safetensors file no number.
func nan(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	binary.LittleEndian.PutUint32(data[len(data)-4:], math.Float32bits(float32(math.NaN())))
	ts.Check(os.WriteFile(path, data, 0o644))
}

// exits STATUS COMMAND... runs a command that ends with that status.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if got := 0; errors.As(err, &exit) {
		if got = exit.ExitCode(); got != want {
			ts.Fatalf("%q ends with status %d, want %d", args[1:], got, want)
		}
		return
	}
	ts.Fatalf("%q: %v, want status %d", args[1:], err, want)
}

func TestRunPrintsAnErrorOnce(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"export", "--run", "nowhere"}, nil, &stdout, &stderr); code != 1 {
		t.Errorf("status %d, want 1", code)
	}
	if got := stderr.String(); bytes.Count(stderr.Bytes(), []byte("\n")) != 1 || stdout.Len() > 0 {
		t.Errorf("stderr %q, stdout %q; want one line on stderr", got, stdout.String())
	}
}
