package model

import (
	"encoding/json"
	"os"
	"slices"
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
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("testdata/cases/" + name + "/beams.json")
			if err != nil {
				t.Fatal(err)
			}
			var file struct{ Runs []beamRun }
			if err := json.Unmarshal(data, &file); err != nil {
				t.Fatal(err)
			}
			s := startSession(t, openModel(t, backendtest.Go(t), name), methods.Full{})
			for _, run := range file.Runs {
				run.check(t, s)
			}
		})
	}
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
	got, err := s.Write([][]int32{run.Input[:2], run.Input, {5}}, w)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got[1], run.Output) || !slices.Equal(told, got[1]) {
		t.Errorf("%+v: %v (told of %v)", run, got[1], told)
	}
}
