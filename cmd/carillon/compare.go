package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carillon/ask"
	"carillon/backend"
	"carillon/corpus"
	"carillon/export"
	"carillon/guide"
	"carillon/job"
	"carillon/launch"
	"carillon/model"
	"carillon/shard"
)

// techniques are the methods that compare knows, in the order of its rows, with
// what each is commonly used for.
var techniques = []struct{ method, use string }{
	{"full", "large changes of domain"},
	{"feature", "quick tasks, few resources"},
	{"adapter", "several tasks on one base"},
	{"prompt", "large models, quick trials"},
	{"lora", "several tasks, small files"},
	{"prefix", "cheap at inference, domains"},
	{"ia3", "the smallest files"},
	{"bitfit", "a cheap strong baseline"},
}

// compareFlags are what compare is told beside the recipe.
type compareFlags struct {
	methods, backend, out string
	set                   []string
	seeds                 int
	budget                time.Duration
	json, offline         bool
}

func compareCommand() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:   "compare RECIPE",
		Short: "Trains each technique on a recipe's data, and says which one to take",
		Long: `Trains each technique from the same base on the same data under the same budget, each
with the settings that suit it, and prints what came of it and what it cost, beside
what needs no training: the untuned base, the commonest class, a bag of words. Then
it says which technique to take, and why.

The recipe's own method keeps the recipe's settings; the others take their defaults,
learning rate included. Everything else (data, steps, batch, seed) is the recipe's.`,
		Example: `  carillon compare recipe.yaml --methods full,lora,prefix --seeds 3 --budget 10m`,
		Args:    arguments(1, 1, "RECIPE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.methods, "methods", "all", "techniques to train, with commas between")
	flags.IntVar(&f.seeds, "seeds", 1, "runs of each technique, with seeds from the recipe's on")
	flags.DurationVar(&f.budget, "budget", 0, "the most time for one run, such as 10m; what is trained by then counts (default: no bound)")
	flags.BoolVar(&f.json, "json", false, "print one JSON object, and nothing else, on standard output")
	flags.BoolVar(&f.offline, "offline", false, "never fetch a compute backend from the network")
	flags.StringVar(&f.out, "out", "", "output directory (default: the recipe's output_dir with -compare)")
	setFlag(cmd, &f.set)
	backendFlag(cmd, &f.backend)
	return cmd
}

func (f compareFlags) run(cmd *cobra.Command, recipe string) error {
	c, err := f.prepare(cmd, recipe)
	if err != nil {
		return err
	}
	defer c.backend.Close()
	if err := c.anchors(cmd.Context()); err != nil {
		return err
	}
	for _, method := range c.methods {
		row, err := c.technique(cmd.Context(), method)
		if err != nil {
			if cmd.Context().Err() != nil {
				return err
			}
			row.Failed = err.Error()
		}
		c.table.Rows = append(c.table.Rows, row)
	}
	c.table.Advice = c.table.Advise()
	c.view.end()
	if f.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(c.table)
	}
	c.table.Write(cmd.OutOrStdout())
	return nil
}

// comparison is a comparison being made.
type comparison struct {
	compareFlags
	spec    job.Spec // resolved
	methods []string
	reading *corpus.Reading
	data    *launch.Data
	facts   model.Facts
	backend *backend.Backend
	view    *view
	neutral float64 // the base's loss on the neutral text; 0: not asked
	table   guide.Table
}

// prepare reads the data once, for all.
func (f compareFlags) prepare(cmd *cobra.Command, recipe string) (*comparison, error) {
	c := &comparison{compareFlags: f}
	spec, err := loadRecipe(recipe, f.set)
	if err != nil {
		return nil, err
	}
	if c.methods, err = f.chosen(cmd); err != nil {
		return nil, err
	}
	if f.seeds < 1 {
		return nil, usage(cmd, "--seeds %d: want a number from 1", f.seeds)
	}
	c.out = cmp.Or(f.out, spec.OutputDir+"-compare")
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		return nil, err
	}
	c.view = newView(cmd.ErrOrStderr(), spec.LoggingSteps)
	if c.reading, c.spec, err = ask.Read(cmd.Context(), spec, corpus.Progress(c.view.Progress)); err != nil {
		return nil, err
	}
	if c.facts, err = model.Inspect(cmd.Context(), c.spec); err != nil {
		return nil, err
	}
	if c.data, err = launch.Prepare(cmd.Context(), c.spec, c.out, corpus.Progress(c.view.Progress)); err != nil {
		return nil, err
	}
	c.table.Warnings = c.data.Report.Warnings()
	c.table.Metric, c.table.Higher = "held-out loss", false
	if c.spec.TaskType == job.SeqCls {
		c.table.Metric, c.table.Higher = "accuracy", true
	}
	c.backend, err = backend.Open(cmd.Context(), backend.Options{Name: f.backend, Threads: spec.CPUThreads, Offline: f.offline, Progress: cmd.ErrOrStderr(), Prober: prober()})
	return c, err
}

// chosen returns the methods to train, in the order of the rows.
func (f compareFlags) chosen(cmd *cobra.Command) (methods []string, err error) {
	want := strings.Split(f.methods, ",")
	for _, t := range techniques {
		if f.methods == "all" || slices.Contains(want, t.method) {
			methods = append(methods, t.method)
		}
	}
	for _, m := range want {
		if m != "all" && !slices.Contains(methods, m) {
			return nil, usage(cmd, "--methods: %q is unknown; want all, or some of full, feature, adapter, prompt, lora, prefix, ia3 and bitfit", m)
		}
	}
	return methods, nil
}

// anchors adds the rows of what needs no training.
func (c *comparison) anchors(ctx context.Context) error {
	if c.spec.TaskType == job.SeqCls {
		examples := c.reading.Labelled(c.spec.Labels)
		bag, err := guide.BagOfWords(examples, len(c.spec.Labels), c.spec.Seed)
		if err != nil {
			bag.Failed = err.Error()
		}
		c.table.Rows = append(c.table.Rows, guide.Majority(examples), bag)
		return nil
	}
	base := c.spec
	base.Method = ""
	base.LoRA, base.Bottleneck, base.Prompt, base.Prefix, base.IA3 = nil, nil, nil, nil, nil
	loss, neutral, err := c.ask(ctx, "", "", base)
	if err != nil {
		return err
	}
	c.neutral = neutral
	c.table.Rows = append(c.table.Rows, guide.Row{Technique: "untuned base", Anchor: true, Quality: loss.Mean(), Use: "where it begins"})
	return nil
}

// ask asks a model of what is held out, and of the neutral text.
func (c *comparison) ask(ctx context.Context, base, adapter string, spec job.Spec) (loss ask.Loss, neutral float64, err error) {
	a, err := ask.Open(ctx, c.backend, base, adapter, spec)
	if err != nil {
		return loss, 0, err
	}
	defer a.Close()
	set, err := shard.Open(c.data.Path)
	if err != nil {
		return loss, 0, err
	}
	defer set.Close()
	if loss, err = a.HeldOut(ctx, set, shard.PlanOf(c.spec), nil); err != nil || c.spec.TaskType != job.CausalLM {
		return loss, 0, err
	}
	neutral, err = a.Text(ctx, guide.Neutral, c.spec.SequenceLen)
	return loss, neutral, err
}

// technique trains a method with each seed.
func (c *comparison) technique(ctx context.Context, method string) (guide.Row, error) {
	row := guide.Row{Technique: method}
	for _, t := range techniques {
		if t.method == method {
			row.Use = t.use
		}
	}
	spec, err := c.specOf(method)
	if err != nil {
		return row, err
	}
	if method == "feature" {
		return row, c.feature(ctx, spec, &row)
	}
	facts, err := model.Inspect(ctx, spec)
	if err != nil {
		return row, err
	}
	row.Trainable, row.Share = facts.TrainableSize, float64(facts.TrainableSize)/float64(facts.Parameters)
	for i := range c.seeds {
		spec.Seed = c.spec.Seed + uint64(i)
		if err := c.once(ctx, spec, i, &row); err != nil {
			return row, err
		}
	}
	for _, q := range row.Runs {
		row.Quality += q / float64(len(row.Runs))
	}
	return row, nil
}

// specOf is the recipe with another method, which has its own defaults; the
// recipe's own method stays as the recipe has it.
func (c *comparison) specOf(method string) (job.Spec, error) {
	spec := c.spec
	if method != spec.Method {
		if err := spec.Set("method", method); err != nil {
			return spec, err
		}
		spec.LearningRate = job.LearningRate(spec)
		spec.SaveDtype = "float32"
		if method == "feature" {
			spec.Nodes, spec.MinNodes, spec.MaxNodes = 1, 1, 0
		}
	}
	return spec, spec.Validate()
}

// once trains once, and adds what came of it to the row.
func (c *comparison) once(ctx context.Context, spec job.Spec, run int, row *guide.Row) error {
	spec.OutputDir = filepath.Join(c.out, fmt.Sprintf("%s-%d", spec.Method, spec.Seed))
	if err := os.RemoveAll(spec.OutputDir); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	bounded := ctx
	if c.budget > 0 {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, c.budget)
		defer cancel()
	}
	c.view.restart()
	c.view.Note(fmt.Sprintf("%s, seed %d", spec.Method, spec.Seed))
	res, err := launch.Run(bounded, launch.Config{
		Job: job.ID(spec.Method), Spec: spec, Coordinators: 1, Data: c.data, Command: []string{exe},
		NodeFlags: nodeFlags(c.backend.Choice()), View: c.view, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	return c.judge(ctx, spec, res, row)
}

// judge asks what was trained, and fills in the row.
func (c *comparison) judge(ctx context.Context, spec job.Spec, res launch.Result, row *guide.Row) error {
	base, adapter := "", res.Export
	if export.MakesModel(spec) {
		base, adapter = res.Export, ""
		spec.ReinitWeights = false
	}
	loss, neutral, err := c.ask(ctx, base, adapter, spec)
	if err != nil {
		return err
	}
	quality := loss.Mean()
	if c.spec.TaskType == job.SeqCls {
		quality = loss.Accuracy()
	}
	row.Runs = append(row.Runs, quality)
	row.Gap, row.Seconds, row.TokensPerSecond = loss.Mean()-c.trained(res), res.Seconds, res.TokensPerSecond
	row.PeakBytes, row.BytesPerStep = max(row.PeakBytes, res.PeakBytes), res.BytesPerStep
	if c.neutral > 0 {
		forgets := neutral - c.neutral
		row.Forgetting = &forgets
	}
	row.FileBytes, err = weightsIn(res.Export)
	return err
}

// trained is the mean loss of the last tenth of the steps.
func (c *comparison) trained(res launch.Result) float64 {
	metrics, err := launch.Metrics(filepath.Join(res.OutputDir, launch.MetricsFile))
	if err != nil || len(metrics) == 0 {
		return res.Loss
	}
	last := metrics[len(metrics)-max(1, len(metrics)/10):]
	sum := 0.0
	for _, m := range last {
		sum += m.Loss
	}
	return sum / float64(len(last))
}

// weightsIn is the size of the weights in a directory.
func weightsIn(dir string) (n int64, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return n, err
		}
		n += info.Size()
	}
	return n, err
}
