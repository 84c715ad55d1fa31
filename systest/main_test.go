package systest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"testing"

	"carillon/ask/asktest"
	"carillon/backend"
	"carillon/coordinator"
	"carillon/launch"
	"carillon/node"
	"carillon/testtool"
)

var (
	bits   = flag.Bool("bits", false, "hold the promise on recipes/demo.yaml too (ten minutes)")
	leaves = flag.Int("leaves", 1, "how many machines leave, each at another moment of a job")
	steps  = flag.Int("steps", 0, "with -bits: so many steps instead of the recipe's")
)

// TestMain is also the program that the tests start: a node, a coordinator, or a
// launcher that the tests can kill.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "trainer":
			exit(node.Command(context.Background(), os.Args[2:], os.Stdin, os.Stderr))
		case "voter":
			exit(coordinator.Command(context.Background(), os.Args[2:], os.Stdin, os.Stderr))
		case "launch":
			exit(launcher(os.Args[2]))
		}
	}
	flag.Parse()
	testtool.EndAtOnce()
	code := m.Run()
	if made.dir != "" {
		os.RemoveAll(made.dir)
	}
	os.Exit(code)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// launcher runs a launch.Config, without its View and Log, and prints each status.
func launcher(config string) error {
	var cfg launch.Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cfg.View, cfg.Log = &printer{json.NewEncoder(os.Stdout)}, slog.New(slog.DiscardHandler)
	_, err := launch.Run(ctx, cfg)
	return err
}

// printer is a launch.View for another process.
type printer struct{ out *json.Encoder }

func (p *printer) Note(string)               {}
func (p *printer) Progress(string, int, int) {}
func (p *printer) Status(s coordinator.Status) {
	if err := p.out.Encode(s); err != nil {
		os.Exit(1) // who started it is gone
	}
}

// tiny is a GPT-2 of two layers with 32 channels.
const tiny = `{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 280, "n_embd": 32, "n_head": 4,
"n_layer": 2, "n_positions": 64, "n_inner": null, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05,
"initializer_range": 0.02, "tie_word_embeddings": true, "bos_token_id": 279, "eos_token_id": 279}`

// made is the base model of all tests, made once.
var made struct {
	sync.Once
	dir string
	err error
}

// base returns the folder of the tiny base model.
func base(t *testing.T) string {
	t.Helper()
	made.Do(func() {
		if made.dir, made.err = os.MkdirTemp("", "systest"); made.err != nil {
			return
		}
		be, err := backend.Open(context.Background(), backend.Options{Name: backend.Go})
		if made.err = err; err == nil {
			made.err = asktest.Make(be, made.dir, tiny, 280)
			be.Close()
		}
	})
	if made.err != nil {
		t.Fatal(made.err)
	}
	return made.dir
}
