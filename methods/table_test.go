package methods_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"carillon/allreduce"
	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/checkpoint"
	"carillon/job"
	"carillon/model"
	"carillon/shard"
	"carillon/train"
)

// Every method, in every model that can have it, keeps the same promises: it starts
// at the base where it should, trains only what it names, has the reference's
// gradient, learns, goes on from a checkpoint as if nothing had been, gives one node
// and three the same bits, is exported and read back to the same bits, merged where it
// can be, and leaves the base alone.
func TestEveryMethodInEveryFamily(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			f.takeAll(t, backendtest.Go(t), func(v variant) bool { return !raced || f.one == v.name || f.name == "gpt2" })
			if !raced || f.name == "gpt2" {
				t.Run("feature", func(t *testing.T) { takeFeature(t, f, backendtest.Go(t)) })
			}
		})
	}
}

// allOnXLA, set to 1, takes a method in every model on XLA too, which compiles for
// some seconds a row. Otherwise it is one for each graph.
const allOnXLA = "CARILLON_FIXTURES_XLA"

// On XLA a method keeps what is not a matter of files.
func TestAMethodInEveryFamilyOnXLA(t *testing.T) {
	for _, f := range families {
		if !slices.Contains(graphs, f.name) && os.Getenv(allOnXLA) == "" {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			f.takeAll(t, backendtest.CPU(t), func(v variant) bool { return f.one == v.name })
		})
	}
}

// graphs are a model of each package that builds one.
var graphs = []string{"gpt2", "bert-cls", "t5", "llama"}

// row is a method in a model, on its way through the list.
type row struct {
	family
	variant
	backend *backend.Backend
	spec    job.Spec
	model   *model.Model
	data    *shard.Set
	in      model.Input // the batch of the cases
	base    []float32   // what the model says to it without a method
}

// takeAll takes a family's rows through the list.
func (f family) takeAll(t *testing.T, be *backend.Backend, wanted func(variant) bool) {
	r := row{family: f, backend: be, model: load(t, be, f.dir()), in: batchOf(t, f.name)}
	r.data = f.examples(t, r.model.Config().Vocab)
	r.base = r.ofBase(t)
	for _, v := range variants {
		if wanted(v) {
			t.Run(v.name, func(t *testing.T) {
				r.variant = v
				r.spec = r.job()
				r.take(t)
			})
		}
	}
}

func (r row) take(t *testing.T) {
	if reason := r.refused[r.family.name]; reason != "" {
		if _, err := r.model.Train(r.spec); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("error %v, want one that says %q", err, reason)
		}
		return
	}
	s := start(t, r.model, r.spec)
	first := r.outputs(t, s)
	r.checkStart(t, first)
	r.checkNames(t, s)
	r.checkGradient(t, s)
	end := r.checkTraining(t, s)
	if !r.compiles() {
		r.checkExport(t, s, end)
	}
	r.checkBase(t, s, first)
}

// compiles says whether a program takes seconds to make. Then a row has only one, that
// of the gradient of the cases' batch.
func (r row) compiles() bool { return r.backend.Kind() != backend.Go }

func load(t *testing.T, be *backend.Backend, dir string) *model.Model {
	t.Helper()
	m, err := model.Load(be, dir, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func start(t *testing.T, m *model.Model, spec job.Spec) *model.Session {
	t.Helper()
	s, err := m.Train(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// outputs is what a model says to the cases' batch: logits, or what a classifier's
// head gives; where it compiles, the loss of each example.
func (r row) outputs(t *testing.T, s *model.Session) (got []float32) {
	t.Helper()
	var err error
	switch {
	case r.compiles():
		return losses(t, s, r.in)
	case s.Task() == job.SeqCls:
		_, got, err = s.Evaluate(r.in)
	default:
		got, err = s.Logits(r.in)
	}
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// ofBase is what the base says without a method; where it compiles, by the fixtures.
func (r row) ofBase(t *testing.T) []float32 {
	t.Helper()
	if r.compiles() {
		return readCase(t, r.family.name, "base").Losses
	}
	return r.outputs(t, start(t, r.model, job.Spec{Method: "full"}))
}

// compare wants two outputs to be so near, as a share of the largest.
func compare(t *testing.T, what string, got, want []float32, within float64) {
	t.Helper()
	if d := furthest(got, want) / largest(want); d > within {
		t.Errorf("%s, the model is off by %.2g of the largest output, want at most %g", what, d, within)
	}
}

// checkStart makes sure that a method that has learnt nothing is where it should be.
func (r row) checkStart(t *testing.T, first []float32) {
	t.Helper()
	d, ok := furthest(first, r.base)/largest(r.base), false
	switch r.starts {
	case exactly:
		ok = d == 0 || r.compiles() && d <= logitsTolerance // the fixtures' numbers are rounded
	case rounded:
		ok = d <= logitsTolerance
	case near:
		ok = d > 0 && d < 0.05
	case apart:
		ok = d > 0.01
	}
	if !ok {
		t.Errorf("at the start the model is off the base by %.2g of the largest output", d)
	}
}

// headKeys are those of a classifier's head, as each library has them.
var headKeys = regexp.MustCompile(`^(base_model\.(model\.)?)?(pre_)?classifier\.`)

// checkNames makes sure that what is trained is what the method names, and a head.
func (r row) checkNames(t *testing.T, s *model.Session) {
	t.Helper()
	named := regexp.MustCompile(r.trains)
	for _, p := range s.Params() {
		if !named.MatchString(p.Name) && !(r.task == job.SeqCls && headKeys.MatchString(p.Name)) {
			t.Errorf("%s is trained", p.Name)
		}
	}
	if all := r.model.Config().Parameters; (s.Size() == all) != (r.variant.name == "full") {
		t.Errorf("%d numbers of %d are trained", s.Size(), all)
	}
}

// checkGradient compares with the fixtures, or where they have no such case with
// differences of the loss.
func (r row) checkGradient(t *testing.T, s *model.Session) {
	t.Helper()
	if name := r.caseOf(); name != "" {
		readCase(t, r.family.name, name).checkGradient(t, s, r.in)
		return
	}
	checkDifferences(t, s, r.in, regexp.MustCompile(r.differs).MatchString)
}

// checkTraining trains the row's job on one node, on three, and from what the three
// have saved half-way, and returns the last state.
func (r row) checkTraining(t *testing.T, s *model.Session) train.State {
	t.Helper()
	w := s.Initial()
	begin := train.State{W: w, M: make([]float32, len(w)), V: make([]float32, len(w))}
	begin.Digest = checkpoint.Digest0([32]byte{}, r.model.Hash(), r.data.Hash(), w)
	one := trainOn(t, r.spec, r.data, begin, s)
	three := trainOn(t, r.spec, r.data, begin, r.nodes(t, s, 3)...)
	again := trainOn(t, r.spec, r.data, reread(t, three.saved[steps/2]), r.nodes(t, s, 1)...)
	if t.Failed() {
		t.FailNow()
	}
	three.checkSame(t, one)
	again.checkSame(t, one)
	before, after := one.records[0].Tail[allreduce.Loss], one.records[steps-1].Tail[allreduce.Loss]
	if after >= before {
		t.Errorf("the loss went from %v to %v", before, after)
	}
	end := one.saved[steps]
	checkMoved(t, s, w, end.W)
	return end
}

// nodes are the sessions of so many nodes. Where it compiles they share one: nodes hold
// the same trainables while any of them computes.
func (r row) nodes(t *testing.T, s *model.Session, n int) []*model.Session {
	t.Helper()
	if r.compiles() {
		return slices.Repeat([]*model.Session{s}, n)
	}
	all := make([]*model.Session, n)
	for i := range all {
		all[i] = start(t, r.model, r.spec)
	}
	return all
}

// reread is a state after its way through a checkpoint.
func reread(t *testing.T, s train.State) train.State {
	t.Helper()
	data := checkpoint.EncodeState(nil, s.W, s.M, s.V, s.Updates)
	n := len(s.W)
	s.W, s.M, s.V = make([]float32, n), make([]float32, n), make([]float32, n)
	var err error
	if s.Updates, err = checkpoint.DecodeState(data, s.W, s.M, s.V); err != nil {
		t.Fatal(err)
	}
	return s
}

// withoutGradient are the keys of what cannot be learnt: softmax takes out what is
// added to all keys alike.
var withoutGradient = regexp.MustCompile(`\.(key|k_lin)\.bias$`)

// checkMoved makes sure that everything that is trained has learnt.
func checkMoved(t *testing.T, s *model.Session, from, to []float32) {
	t.Helper()
	for _, p := range s.Params() {
		n := size(p.Shape)
		if slices.Equal(from[p.Offset:][:n], to[p.Offset:][:n]) && !withoutGradient.MatchString(p.Name) {
			t.Errorf("%s is what it was", p.Name)
		}
	}
}

// checkBase makes sure that the base is what it was, on the device and on the disk.
func (r row) checkBase(t *testing.T, s *model.Session, first []float32) {
	t.Helper()
	if err := s.Upload(s.Initial()); err != nil {
		t.Fatal(err)
	}
	compare(t, "with its first values again", r.outputs(t, s), first, 0)
	if hash, err := model.HashDir(r.dir(), model.Options{}); err != nil || hash != r.model.Hash() {
		t.Errorf("the base's hash was %x and is %x (%v)", r.model.Hash(), hash, err)
	}
}

// examples are eight of what a family's model is for, in a shard.
func (f family) examples(t *testing.T, vocab int) *shard.Set {
	t.Helper()
	task, err := shard.ParseTask(f.task)
	if err != nil {
		t.Fatal(err)
	}
	examples := make([]shard.Example, 8)
	for i := range examples {
		examples[i] = exampleOf(task, int32(i))
	}
	path := filepath.Join(t.TempDir(), "data.shard")
	if _, err := shard.Build(path, shard.Info{Task: task, Vocab: vocab, Classes: len(f.labels), Blank: -1}, examples); err != nil {
		t.Fatal(err)
	}
	data, err := shard.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	return data
}

func exampleOf(task shard.Task, i int32) (e shard.Example) {
	for j := range 4 + i%5 {
		e.Tokens = append(e.Tokens, 3+(i*37+j*11)%200)
	}
	switch task {
	case shard.SeqCls:
		e.Labels = []int32{i % 3}
	case shard.Seq2SeqLM:
		e.Labels = []int32{7 + i, 9, 11 + i%4, 1}
	}
	return e
}
