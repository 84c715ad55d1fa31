package feature

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"carillon/ask"
	"carillon/job"
	"carillon/linear"
	"carillon/safetensors"
)

// Classifier tells the class of a text, or a number, from its vector.
type Classifier struct {
	Format   int      `json:"format"`
	Task     string   `json:"task_type"`
	Base     string   `json:"base_model"`
	BaseHash string   `json:"base_sha256"`
	Pooling  string   `json:"pooling"`
	Kind     string   `json:"classifier"`
	Labels   []string `json:"labels"`
	C        float64  `json:"c"`
	Vectors  string   `json:"vectors"` // the key of those that it was fitted to
	layers   []layer
}

// layer is y = W·x + b, W [out, in]; a tanh is between two of them. Of two classes
// there is one output, the second's: the first has 0.
type layer struct {
	in   int
	w, b []float64 // what a float32 can hold
}

func (c *Classifier) size() (n int) {
	for _, l := range c.layers {
		n += len(l.w) + len(l.b)
	}
	return n
}

// apply fills y with the outputs of x.
func (l layer) apply(x, y []float64) {
	for o := range l.b {
		sum := l.b[o]
		for i, w := range l.w[o*l.in:][:l.in] {
			sum += w * x[i]
		}
		y[o] = sum
	}
}

// outputs returns those of the last layer for a vector, which it changes.
func (c *Classifier) outputs(x []float64) []float64 {
	for i, l := range c.layers {
		if i > 0 {
			for k := range x {
				x[k] = math.Tanh(x[k])
			}
		}
		y := make([]float64, len(l.b))
		l.apply(x, y)
		x = y
	}
	return x
}

// judge asks the classifier of rows, whose answers are labels as in a shard.
func (c *Classifier) judge(rows Rows, labels []int) ask.Loss {
	l := ask.Loss{Task: c.Task, Tokens: int64(rows.Len()), Examples: int64(rows.Len())}
	x := make([]float64, rows.Width())
	for i, label := range labels {
		rows.Row(i, x)
		y := c.outputs(slices.Clone(x))
		if c.Task == job.Regression {
			l.Sum += (y[0] - number(label)) * (y[0] - number(label))
			continue
		}
		if len(y) == 1 { // of two classes the first has 0
			y = []float64{0, y[0]}
		}
		if slices.Index(y, slices.Max(y)) == label {
			l.Right++
		}
		l.Sum += logSum(y) - y[label]
	}
	return l
}

// number is what a regression's label stands for.
func number(label int) float64 { return float64(math.Float32frombits(uint32(int32(label)))) }

// logSum returns ln Σ eˣ.
func logSum(x []float64) float64 {
	most, sum := slices.Max(x), 0.0
	for _, v := range x {
		sum += math.Exp(v - most)
	}
	return most + math.Log(sum)
}

// chooseLogistic fits a logistic regression, its strength chosen by
// cross-validation.
func chooseLogistic(rows Rows, labels []int, classes int, seed uint64) ([]layer, float64, float64, error) {
	m, c, accuracy, err := linear.Choose(rows, labels, classes, seed)
	if err != nil {
		return nil, 0, 0, err
	}
	l := layer{in: rows.Width()}
	for _, w := range m.W {
		l.w, l.b = append(l.w, w[:l.in]...), append(l.b, w[l.in])
	}
	return rounded(l), c, accuracy, nil
}

// chooseRidge fits a ridge regression, its strength chosen by cross-validation, and
// returns the mean squared error there.
func chooseRidge(rows Rows, labels []int, seed uint64) ([]layer, float64, float64, error) {
	targets := make([]float64, len(labels))
	for i, label := range labels {
		targets[i] = number(label)
	}
	w, c, squared, err := linear.ChooseRidge(rows, targets, seed)
	if err != nil {
		return nil, 0, 0, err
	}
	n := rows.Width()
	return rounded(layer{n, w[:n], w[n:]}), c, squared, nil
}

// rounded makes layers of what a file will hold, so that they say the same when
// they are read.
func rounded(layers ...layer) []layer {
	for _, l := range layers {
		for _, x := range [][]float64{l.w, l.b} {
			for i, v := range x {
				x[i] = float64(float32(v))
			}
		}
	}
	return layers
}

// The files of a classifier's directory.
const (
	factsFile   = "feature.json"
	weightsFile = "feature.safetensors"
)

// Is says whether dir holds a classifier of this package.
func Is(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, factsFile))
	return dir != "" && err == nil
}

// names are the names of the layers' tensors, without .weight and .bias.
func (c *Classifier) names() []string {
	if c.Kind == "mlp" {
		return []string{"hidden", "output"}
	}
	return []string{"output"}
}

// save writes the classifier to dir, the facts last: they make it one.
func (c *Classifier) save(dir string) error {
	c.Format = version
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	for i, name := range c.names() {
		l := c.layers[i]
		tensors = append(tensors, safetensors.Tensor{Name: name + ".weight", Shape: []int{len(l.b), l.in}, Data: singles(l.w)},
			safetensors.Tensor{Name: name + ".bias", Shape: []int{len(l.b)}, Data: singles(l.b)})
	}
	facts, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(filepath.Join(dir, factsFile)),
		put(filepath.Join(dir, weightsFile), func(f *os.File) error { return safetensors.Write(f, safetensors.F32, tensors) }),
		put(filepath.Join(dir, factsFile), func(f *os.File) error { _, err := f.Write(append(facts, '\n')); return err }))
}

// put makes a file whole or not at all.
func put(path string, write func(f *os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	err = errors.Join(f.Chmod(0o644), write(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func singles(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// load reads a classifier's directory.
func load(dir string) (*Classifier, error) {
	data, err := os.ReadFile(filepath.Join(dir, factsFile))
	if err != nil {
		return nil, err
	}
	c := &Classifier{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("%s: %w", factsFile, err)
	}
	c.Task = cmp.Or(c.Task, job.SeqCls) // what there was before there was a key for it
	if c.Format != version {
		return nil, fmt.Errorf("%s: format %d is not known; want %d", factsFile, c.Format, version)
	}
	files, err := safetensors.Open(filepath.Join(dir, weightsFile))
	if err != nil {
		return nil, err
	}
	return c, errors.Join(c.read(files), files.Close())
}

// read fills in the layers.
func (c *Classifier) read(files *safetensors.Dir) error {
	shapes := map[string][]int{}
	for _, t := range files.Tensors() {
		shapes[t.Name] = t.Shape
	}
	for i, name := range c.names() {
		shape := shapes[name+".weight"]
		if len(shape) != 2 || !slices.Equal(shapes[name+".bias"], shape[:1]) || i > 0 && shape[1] != len(c.layers[i-1].b) {
			return fmt.Errorf("%s: %s.weight is %v and its bias %v; want [out, in] and [out]", weightsFile, name, shape, shapes[name+".bias"])
		}
		w, b := make([]float32, shape[0]*shape[1]), make([]float32, shape[0])
		if err := errors.Join(files.Float32(name+".weight", w), files.Float32(name+".bias", b)); err != nil {
			return err
		}
		c.layers = append(c.layers, layer{shape[1], doubles(w), doubles(b)})
	}
	want := 1
	if c.Task != job.Regression {
		want = linear.Outputs(len(c.Labels))
	}
	if n := len(c.layers[len(c.layers)-1].b); n != want {
		return fmt.Errorf("%s: %d outputs for %d labels", weightsFile, n, len(c.Labels))
	}
	return nil
}

func doubles(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// recipe is a spec whose data is read for this classifier.
func (c *Classifier) recipe(s job.Spec) job.Spec {
	s.Method, s.TaskType, s.Labels = "feature", c.Task, c.Labels
	s.Feature = &job.Feature{Pooling: c.Pooling, Classifier: c.Kind}
	if c.Kind == ridge {
		s.Feature.Classifier = "logistic"
	}
	if s.BaseModel == "" {
		s.BaseModel = c.Base
	}
	return s
}
