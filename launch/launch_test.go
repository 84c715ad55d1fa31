package launch_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon/ask/asktest"
	"carillon/backend/backendtest"
	"carillon/coordinator"
	"carillon/job"
	"carillon/launch"
)

// notes is a View that keeps the news.
type notes struct{ lines []string }

func (n *notes) Note(text string)          { n.lines = append(n.lines, text) }
func (*notes) Progress(string, int, int)   {}
func (*notes) Status(s coordinator.Status) {}

// config is a job on a tiny model, whose processes a shell script stands in for.
func config(t *testing.T, script string) launch.Config {
	t.Helper()
	dir := t.TempDir()
	base, data := filepath.Join(dir, "base"), filepath.Join(dir, "data.jsonl")
	if err := asktest.Base(backendtest.Go(t), base); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(data, []byte(`{"prompt": "the bell", "completion": " rings"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	spec, err := job.Parse("r.yaml", []byte("base_model: "+base+"\ndatasets: [{path: "+data+"}]\nmethod: lora\nlora: {r: 2, target_modules: [c_attn]}\nsequence_len: 32\nmax_steps: 4\noutput_dir: "+filepath.Join(dir, "out")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return launch.Config{
		Job: "r", Spec: spec, Coordinators: 1, View: &notes{}, Log: slog.New(slog.DiscardHandler),
		Command: []string{"sh", "-c", script, "carillon"},
	}
}

// A coordinator that cannot start, such as one whose port is taken, ends the run
// at once, with what it said.
func TestCoordinatorThatCannotStartIsToldInOneLine(t *testing.T) {
	cfg := config(t, "echo started >&2; echo 'carillon: listen on 127.0.0.1:1: address already in use' >&2; exit 1")
	_, err := launch.Run(t.Context(), cfg)
	want := "submit the job: coordinator c1 has ended: listen on 127.0.0.1:1: address already in use"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestWhatCanBeKnownBeforeIsRefusedWithNothingWritten(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*launch.Config)
		want   string
	}{
		"resume of nothing": {func(c *launch.Config) { c.Resume = true }, "there is no run to resume here"},
		"too long":          {func(c *launch.Config) { c.Spec.SequenceLen = 65 }, "sequence_len: 65; the base model"},
		"too long behind a prompt": {func(c *launch.Config) {
			c.Spec.SequenceLen, c.Spec.Method, c.Spec.LoRA = 60, "prompt", nil
			c.Spec.Prompt = &job.Prompt{NumVirtualTokens: 5, PromptTuningInit: "random"}
		}, "takes at most 64 tokens, of which method prompt takes 5"},
		"too large":    {func(c *launch.Config) { c.Spec.Lanes, c.Spec.MicroBatchSize = 1, 1<<30 }, "activations of 1073741824 x 32 tokens"},
		"no tokenizer": {func(c *launch.Config) { os.Remove(filepath.Join(c.Spec.BaseModel, "tokenizer.json")) }, "tokenizer.json"},
		"no weights":   {func(c *launch.Config) { os.Remove(filepath.Join(c.Spec.BaseModel, "model.safetensors")) }, "model.safetensors"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, "exit 1")
			tt.change(&cfg)
			_, err := launch.Run(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want one line with %q", err, tt.want)
			}
			if _, err := os.Stat(cfg.Spec.OutputDir); !os.IsNotExist(err) {
				t.Errorf("something was written to the output directory: %v", err)
			}
		})
	}
}

// A Ctrl-C before anything was begun leaves at once.
func TestInterruptedBeforeTheStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cfg := config(t, "cat")
	cancel()
	if _, err := launch.Run(ctx, cfg); err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

func TestSurplusNodesAreAnnounced(t *testing.T) {
	cfg := config(t, "exit 1")
	cfg.Spec.Nodes, cfg.Spec.Lanes = 3, 2
	_, _ = launch.Run(t.Context(), cfg) // its processes cannot start
	if got := strings.Join(cfg.View.(*notes).lines, "\n"); !strings.Contains(got, "3 nodes for 2 lanes: 1 will be warm spares") {
		t.Errorf("news:\n%s", got)
	}
}
