package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"carillon/ask"
	"carillon/backend"
	"carillon/corpus"
	"carillon/export"
	"carillon/job"
	"carillon/launch"
	"carillon/shard"
)

// demoRecipe is what the demo trains, seen from the repository's root.
const demoRecipe = "recipes/demo.yaml"

// demoSize is how much of the demo a machine is given to do.
type demoSize struct {
	steps     int
	sentences int    // held-out declarations that are completed
	words     int    // tokens of a completion
	drills    string // what happens on the way
	set       []string
}

var (
	fullDemo = demoSize{steps: 160, sentences: 64, words: 12, drills: "kill=n2@40,kill=coordinator@80,join=n4@110"}
	// quickDemo is for CI: the same claims, but the 10 percent.
	quickDemo = demoSize{steps: 30, sentences: 16, words: 12, drills: "kill=n2@8,kill=coordinator@14,join=n4@20", set: []string{"eval_examples=64"}}
	// On the Go backend, about 20 times slower, steps and lengths shrink.
	goDemo = demoSize{steps: 40, sentences: 8, words: 8, drills: "kill=n2@10,kill=coordinator@18,join=n4@26",
		set: []string{"sequence_len=48", "micro_batch_size=1", "eval_examples=32"}}
	goQuickDemo = demoSize{steps: 12, sentences: 4, words: 6, drills: "kill=n2@4,kill=coordinator@6,join=n4@8",
		set: []string{"sequence_len=48", "micro_batch_size=1", "eval_examples=16", "warmup_steps=4"}}
)

type demoFlags struct {
	backend, out   string
	quick, offline bool
}

func demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Shows the whole of it on this machine, in three minutes",
		Long: `Shows the whole of it on this machine, in three minutes on two cores.

A LoRA adapter learns to write the first sentence of a doc comment for a Go
declaration, on what every Go installation holds. Three node processes train it and
three coordinators keep them together; a node and the leading coordinator are killed
on the way, and a fresh node joins. Then one node alone, undisturbed, trains the same
again, and the two adapters must have the same SHA-256.`,
		Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := newDemo(cmd, f)
			if err != nil {
				return err
			}
			defer d.close()
			return d.run(cmd.Context())
		},
	}
	backendFlag(cmd, &f.backend)
	cmd.Flags().BoolVar(&f.quick, "quick", false, "fewer steps: a minute or less")
	cmd.Flags().BoolVar(&f.offline, "offline", false, "never fetch a compute backend from the network")
	cmd.Flags().StringVar(&f.out, "out", filepath.Join("out", "demo"), "output directory; what an earlier demo left there is replaced")
	return cmd
}

// demo is a demo being shown.
type demo struct {
	size    demoSize
	spec    job.Spec
	out     string
	view    *view
	backend *backend.Backend
	data    *launch.Data
	set     *shard.Set
	asker   *ask.Asker
	pairs   []pair
}

func newDemo(cmd *cobra.Command, f demoFlags) (*demo, error) {
	d := &demo{out: f.out, view: newView(cmd.OutOrStdout(), 10)}
	var err error
	if d.backend, err = backend.Open(cmd.Context(), backend.Options{Name: f.backend, Offline: f.offline, Progress: cmd.ErrOrStderr(), Prober: prober()}); err != nil {
		return nil, err
	}
	d.view.Note("backend: " + d.backend.Why())
	d.size = sizeOfDemo(f.quick, d.backend.Kind() == backend.Go)
	if d.backend.Kind() == backend.Go {
		d.view.Note("the Go backend is about 20 times slower than XLA: fewer steps and shorter examples, the same claims but the fall of the loss by 10 %")
	}
	if _, err := os.Stat(demoRecipe); err != nil {
		return nil, fmt.Errorf("%s is not here: run the demo in the root of carillon's repository", demoRecipe)
	}
	d.spec, err = loadRecipe(demoRecipe, append([]string{"max_steps=" + strconv.Itoa(d.size.steps)}, d.size.set...))
	return d, err
}

func sizeOfDemo(quick, slow bool) demoSize {
	switch {
	case quick && slow:
		return goQuickDemo
	case slow:
		return goDemo
	case quick:
		return quickDemo
	}
	return fullDemo
}

func (d *demo) close() {
	d.view.end()
	if d.asker != nil {
		d.asker.Close()
	}
	if d.set != nil {
		d.set.Close()
	}
	d.backend.Close()
}

// run shows the demo, in the order in which a reader of its output needs it.
func (d *demo) run(ctx context.Context) error {
	began := time.Now()
	if err := d.prepare(ctx); err != nil {
		return err
	}
	drills, err := job.ParseDrills(d.size.drills)
	if err != nil {
		return err
	}
	d.view.Note(fmt.Sprintf("training on 3 nodes with 3 coordinators; on the way: %s", d.size.drills))
	before := make(chan answers, 1)
	go func() { before <- d.ask(ctx) }() // while the nodes compile
	three, err := d.train(ctx, "three", 3, drills)
	base := <-before
	if err = cmp.Or(err, base.err); err != nil {
		return err
	}
	if three.Stopped {
		return context.Canceled
	}
	tuned, err := d.askTuned(ctx, three.Export)
	if err != nil {
		return err
	}
	if err := d.show(three, base, tuned); err != nil {
		return err
	}
	d.view.Note("the same again on 1 node, undisturbed")
	one, err := d.train(ctx, "one", 1, nil)
	if err != nil {
		return err
	}
	if one.Stopped {
		return context.Canceled
	}
	return d.judge(three, one, base, tuned, time.Since(began))
}

// prepare makes the data set, once for both runs.
func (d *demo) prepare(ctx context.Context) (err error) {
	for _, old := range []string{"three", "one"} {
		if err := os.RemoveAll(filepath.Join(d.out, old)); err != nil {
			return err
		}
	}
	if d.data, err = launch.Prepare(ctx, d.spec, d.out, corpus.Progress(d.view.Progress)); err != nil {
		return err
	}
	d.view.Note(d.data.Report.String())
	if d.set, err = shard.Open(d.data.Path); err != nil {
		return err
	}
	d.asker, err = ask.Open(ctx, d.backend, "", "", d.spec)
	if err != nil {
		return err
	}
	d.pairs, err = heldOutPairs(d.spec.BaseModel, d.set, d.size.sentences)
	return err
}

// train runs the recipe on so many nodes, in a folder of its own.
func (d *demo) train(ctx context.Context, name string, nodes int, drills []job.Drill) (launch.Result, error) {
	exe, err := os.Executable()
	if err != nil {
		return launch.Result{}, err
	}
	spec, coordinators := d.spec, 3
	if nodes == 1 {
		coordinators = 1
	}
	spec.Nodes, spec.OutputDir = nodes, filepath.Join(d.out, name)
	d.view.restart()
	return launch.Run(ctx, launch.Config{
		Job: "demo", Spec: spec, Coordinators: coordinators, Drills: drills, Data: d.data,
		Command: []string{exe}, NodeFlags: nodeFlags(d.backend.Choice()), Kind: d.backend.Kind(),
		View: d.view, Log: slog.New(slog.DiscardHandler),
	})
}

// answers are what a model says on what is held out.
type answers struct {
	loss      ask.Loss
	sentences []string // one for each pair
	err       error
}

// ask asks the model as it is now.
func (d *demo) ask(ctx context.Context) (a answers) {
	if a.loss, a.err = d.asker.HeldOut(ctx, d.set, shard.PlanOf(d.spec), nil); a.err != nil {
		return a
	}
	prompts := make([]string, len(d.pairs))
	for i, p := range d.pairs {
		prompts[i] = p.prompt
	}
	a.sentences, a.err = d.asker.Complete(ctx, prompts, d.size.words)
	return a
}

// askTuned puts the exported adapter into the model, and asks that.
func (d *demo) askTuned(ctx context.Context, adapter string) (answers, error) {
	_, tensors, err := export.Open(adapter)
	if err != nil {
		return answers{}, err
	}
	if err := d.asker.SetTrainables(tensors); err != nil {
		return answers{}, err
	}
	a := d.ask(ctx)
	return a, a.err
}

// show tells what the adapter has learnt.
func (d *demo) show(r launch.Result, base, tuned answers) error {
	d.view.end()
	metrics := filepath.Join(r.OutputDir, launch.MetricsFile)
	curve := filepath.Join(r.OutputDir, "loss.svg")
	if err := drawLoss(curve, metrics); err != nil {
		return err
	}
	fall := 1 - tuned.loss.Mean()/base.loss.Mean()
	d.view.Note(fmt.Sprintf("held-out loss %.4f -> %.4f nats per token (%.1f %% less, %d examples)", base.loss.Mean(), tuned.loss.Mean(), 100*fall, tuned.loss.Examples))
	for i := range min(3, len(d.pairs)) {
		d.view.Note(fmt.Sprintf("\n  %s\n    base:  %s\n    tuned: %s", d.pairs[i].declaration(), oneLine(base.sentences[i]), oneLine(tuned.sentences[i])))
	}
	d.view.Note(fmt.Sprintf("\nsentences that begin with the declared name, as Go asks: base %d, tuned %d of %d",
		named(d.pairs, base.sentences), named(d.pairs, tuned.sentences), len(d.pairs)))
	d.view.Note(fmt.Sprintf("adapter:    %s\nloss curve: %s\nmetrics:    %s", r.Export, curve, metrics))
	return nil
}

// judge compares the bits, and says whether the demo shows what it should.
func (d *demo) judge(three, one launch.Result, base, tuned answers, took time.Duration) error {
	d.view.end()
	sign := "=="
	if three.AdapterSHA256 != one.AdapterSHA256 {
		sign = "!="
	}
	d.view.Note(fmt.Sprintf("same bits: adapter sha256 %s (3 nodes, a node and the leader killed, one joined) %s %s (1 node)", three.AdapterSHA256, sign, one.AdapterSHA256))
	d.view.Note(fmt.Sprintf("%.0f s in all", took.Seconds()))
	switch {
	case three.AdapterSHA256 != one.AdapterSHA256:
		return fmt.Errorf("the two adapters differ: this is a defect; please report it with %s", d.out)
	case tuned.loss.Mean() >= base.loss.Mean():
		return fmt.Errorf("the held-out loss has not fallen: %.4f -> %.4f", base.loss.Mean(), tuned.loss.Mean())
	case named(d.pairs, tuned.sentences) < named(d.pairs, base.sentences):
		return fmt.Errorf("fewer sentences begin with the declared name than before")
	}
	return nil
}
