package model

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"carillon/backend/backendtest"
	"carillon/methods"
)

// beamRun is a text that transformers' beam search finds.
type beamRun struct {
	Input             []int32 `json:"input_ids"`
	NumBeams          int     `json:"num_beams"`
	LengthPenalty     float64 `json:"length_penalty"`
	EarlyStopping     string  `json:"early_stopping"`
	RepetitionPenalty float64 `json:"repetition_penalty"`
	Stop              int32   `json:"stop"`
	Output            []int32 `json:"output_ids"`
}

// Beams find what transformers' do, with a decoder and without.
func TestBeamsFindTheTextsOfTransformers(t *testing.T) {
	for _, name := range []string{"t5", "t5-v1_1", "gpt2"} {
		runs := openBeams(t, name)
		t.Run(name, func(t *testing.T) {
			s := startSession(t, openModel(t, backendtest.Go(t), name), methods.Full{})
			for _, run := range runs {
				run.check(t, s)
			}
		})
	}
	t.Run("XLA", func(t *testing.T) {
		s := startSession(t, openModel(t, backendtest.CPU(t), "t5"), methods.Full{})
		openBeams(t, "t5")[0].check(t, s)
	})
}

func openBeams(t *testing.T, name string) []beamRun {
	t.Helper()
	data, err := os.ReadFile("testdata/cases/" + name + "/beams.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Runs []beamRun }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file.Runs
}

// check writes the text, beside others that have other lengths.
func (run beamRun) check(t *testing.T, s *Session) {
	t.Helper()
	w := Writing{
		MaxNew: 12, Stop: run.Stop, NumBeams: run.NumBeams, LengthPenalty: run.LengthPenalty, EarlyStopping: run.EarlyStopping,
		Sampling: Sampling{RepetitionPenalty: run.RepetitionPenalty},
	}
	var told []int32
	w.Token = func(prompt int, token int32) {
		if prompt == 1 {
			told = append(told, token)
		}
	}
	got, err := s.Write([][]int32{run.Input[:2], run.Input}, w)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got[1], run.Output) || !slices.Equal(told, got[1]) {
		t.Errorf("%+v: %v (told of %v)", run, got[1], told)
	}
}

func TestWritingRefuses(t *testing.T) {
	for want, w := range map[string]Writing{
		"num_beams -1": {NumBeams: -1}, "length penalty NaN": {LengthPenalty: math.NaN()}, `early stopping "yes"`: {EarlyStopping: "yes"},
		"temperature 0.5 with 3 beams": {NumBeams: 3, Sampling: Sampling{Temperature: 0.5}}, "top-p 2": {Sampling: Sampling{Temperature: 1, TopP: 2}},
	} {
		if err := w.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want one with %q", w, err, want)
		}
	}
}

// A beam whose numbers are none is no reason to stop the program.
func TestBeamsSurviveNaN(t *testing.T) {
	nan := float32(math.NaN())
	s := newSearch(line{w: Writing{MaxNew: 3, Stop: -1, NumBeams: 2}})
	for range 5 {
		if s.done() {
			break
		}
		s.add([]float32{nan, nan, nan, nan, nan, nan})
	}
	if !s.done() || len(s.text()) != 3 {
		t.Errorf("done %v with %v", s.done(), s.text())
	}
}
