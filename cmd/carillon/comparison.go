package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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

// comparison is a comparison being made.
type comparison struct {
	compareFlags
	spec    job.Spec // resolved
	methods []string
	own     map[string][]string // by method: settings of its own
	reading *corpus.Reading
	data    *launch.Data
	facts   model.Facts
	backend *backend.Backend
	view    *view
	neutral float64                // the base's loss on the neutral text; 0: not asked
	plans   map[string]launch.Plan // by method: what it takes of the memory
	refused map[string]error       // by method: why it is not trained
	table   guide.Table
}

// prepare reads the data once, for all.
func (f compareFlags) prepare(cmd *cobra.Command, recipe string) (*comparison, error) {
	c := &comparison{compareFlags: f}
	all, own, err := f.settings(cmd)
	if err != nil {
		return nil, err
	}
	c.own = own
	spec, err := loadRecipe(recipe, all)
	if err != nil {
		return nil, err
	}
	if c.methods, err = f.chosen(cmd); err != nil {
		return nil, err
	}
	if f.shots < 0 {
		return nil, usage(cmd, "--shots %d: want a number from 0", f.shots)
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
	switch c.table.Metric = "held-out loss"; c.spec.TaskType {
	case job.SeqCls:
		c.table.Metric, c.table.Higher = "accuracy", true
	case job.Regression:
		c.table.Metric = "squared error"
	}
	c.backend, err = backend.Open(cmd.Context(), backend.Options{Name: f.backend, Threads: spec.CPUThreads, Offline: f.offline, Progress: cmd.ErrOrStderr(), Prober: prober()})
	return c, err
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
	if c.spec.TaskType == job.Regression {
		return nil // the head of the base says nothing before it is trained
	}
	base := c.spec.WithMethod(job.Spec{})
	base.InitFrom, base.InitSHA256 = "", ""
	loss, neutral, err := c.ask(ctx, "", "", base)
	if err != nil {
		return err
	}
	c.neutral = neutral
	c.table.Rows = append(c.table.Rows, guide.Row{Technique: "untuned base", Anchor: true, Quality: loss.Mean(), Use: "where it begins"})
	return c.shown(ctx, base)
}

// shown adds the row of the untuned base with examples in its prompt, where the data
// has prompts.
func (c *comparison) shown(ctx context.Context, base job.Spec) error {
	if c.shots == 0 || c.spec.TaskType != job.CausalLM {
		return nil
	}
	a, err := ask.Open(ctx, c.backend, "", "", base)
	if err != nil {
		return err
	}
	defer a.Close()
	set, err := shard.Open(c.data.Path)
	if err != nil {
		return err
	}
	defer set.Close()
	began := time.Now()
	with, plan, shown, err := ask.Shots(set, shard.PlanOf(c.spec), c.shots, a.Config().Context)
	if errors.Is(err, ask.ErrNoShots) {
		return nil
	}
	if err != nil {
		return err
	}
	defer with.Close()
	loss, err := a.HeldOut(ctx, with, plan, nil)
	if err != nil {
		return err
	}
	c.table.Rows = append(c.table.Rows, guide.Row{Technique: fmt.Sprintf("base, %d shots", shown), Anchor: true, Quality: loss.Mean(),
		Seconds: time.Since(began).Seconds(), Use: "examples in the prompt"})
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
	if err := c.refused[method]; err != nil {
		return row, err
	}
	facts := c.plans[method].Base
	row.Trainable, row.Share = facts.TrainableSize, float64(facts.TrainableSize)/float64(facts.Total)
	for i := range c.seeds {
		spec.Seed = c.spec.Seed + uint64(i)
		if err := c.once(ctx, spec, &row); err != nil {
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
		spec.InitFrom, spec.InitSHA256 = "", "" // an adapter that only the recipe's method goes on from
		if err := spec.Set("method", method); err != nil {
			return spec, err
		}
		spec.LearningRate = job.LearningRate(spec)
		spec.SaveDtype = "float32"
		if method == "feature" {
			spec.Nodes, spec.MinNodes, spec.MaxNodes = 1, 1, 0
		}
	}
	for _, change := range c.own[method] {
		key, value, _ := strings.Cut(change, "=")
		if err := spec.Set(key, value); err != nil {
			return spec, fmt.Errorf("--set %s:%s: %w", method, change, err)
		}
	}
	return spec, spec.Validate()
}

// once trains once, and adds what came of it to the row.
func (c *comparison) once(ctx context.Context, spec job.Spec, row *guide.Row) error {
	spec.OutputDir = filepath.Join(c.out, fmt.Sprintf("%s-%d", spec.Method, spec.Seed))
	spec.Store = "" // a bucket is for what is kept; of these only the table is
	if spec.EvalSteps == 0 {
		spec.EvalExamples = 1 // judge asks what is held out, all of it
	}
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
		NodeFlags: nodeFlags(c.backend.Choice()), Kind: c.backend.Kind(), Force: c.force, View: c.view, Log: slog.New(slog.DiscardHandler),
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
	row.Runs, row.Steps = append(row.Runs, quality), cmp.Or(res.BestStep, res.Steps)
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
