package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"carillon/backend"
	"carillon/job"
	"carillon/model"
)

// stepVerb starts this program as one that takes steps of a method.
const stepVerb = "method-step"

// said is a line of a process that takes steps: first what there is, then what each
// step took, in the end the most memory that the process has had.
type said struct {
	Loss     float64 `json:"loss,omitempty"`
	Trained  int     `json:"trained,omitempty"`
	Versions string  `json:"versions,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"`
	CPU      float64 `json:"cpu,omitempty"`  // seconds of all threads
	Peak     float64 `json:"peak,omitempty"` // bytes
}

// methodStep takes a step of a method for each line that comes: a forward and a
// backward pass, of feature-based tuning a forward pass. What is trained goes to the
// device in it, and the gradient comes back.
func methodStep(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 3 {
		return fmt.Errorf("%s: %d arguments, want a shape, a method and a model's directory", stepVerb, len(args))
	}
	s, err := shapeOf(args[0])
	if err != nil {
		return err
	}
	be, err := backend.Open(context.Background(), backend.Options{Name: backend.CPU, Offline: true})
	if err != nil {
		return err
	}
	m, err := model.Load(be, args[2], model.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	step, first, err := stepOf(m, s, args[1])
	if err != nil {
		return err
	}
	keep := be.Keep
	if args[1] == "feature" { // texts are read by processes that do not
		keep = func() {}
	}
	return serve(in, json.NewEncoder(out), step, first, keep)
}

// serve says what there is, and steps as often as it is told to, after keep.
func serve(in io.Reader, out *json.Encoder, step func() (float64, error), first said, keep func()) (err error) {
	if first.Loss, err = step(); err != nil {
		return err
	}
	keep()
	if err := out.Encode(first); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		start, used := time.Now(), processTime()
		if _, err := step(); err != nil {
			return err
		}
		if err := out.Encode(said{Seconds: time.Since(start).Seconds(), CPU: (processTime() - used).Seconds()}); err != nil {
			return err
		}
	}
	return out.Encode(said{Peak: peakMemory()})
}

// stepOf returns a function that takes a step and returns its loss, as PyTorch has it.
func stepOf(m *model.Model, s shape, method string) (func() (float64, error), said, error) {
	in := s.input()
	if method == "feature" {
		e, err := m.Encoder("mean")
		return func() (float64, error) {
			x, err := e.Features(in)
			return meanSize(x), err
		}, said{}, err
	}
	session, err := m.Train(s.spec(method))
	if err != nil {
		return nil, said{}, err
	}
	flat, grad := session.Initial(), make([]float32, session.Size())
	return func() (float64, error) {
		if err := session.Upload(flat); err != nil {
			return 0, err
		}
		loss, err := session.Gradient(in, job.Key{}, grad)
		return float64(loss) / s.asked(), err
	}, said{Trained: session.Size()}, nil
}

func meanSize(x []float32) (sum float64) {
	for _, v := range x {
		sum += math.Abs(float64(v))
	}
	return sum / float64(len(x))
}

// peakMemory is the most memory that this process has had, in bytes; 0: not known.
func peakMemory() float64 {
	status, _ := os.ReadFile("/proc/self/status") // empty where there is none
	for line := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kib); n == 1 {
			return kib * 1024
		}
	}
	return 0
}
