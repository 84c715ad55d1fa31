package optim

import (
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"carillon/job"
)

// columns are the fixtures' schedules, with a peak of 0.01.
var columns = map[string]struct {
	kind   string
	warmup int
	total  uint64
}{
	"constant":               {"constant", 0, 100},
	"constant_warmup10":      {"constant", 10, 100},
	"linear_warmup10":        {"linear", 10, 100},
	"linear_warmup0":         {"linear", 0, 100},
	"linear_warmup2_total10": {"linear", 2, 10},
	"cosine_warmup10":        {"cosine", 10, 100},
	"cosine_warmup0":         {"cosine", 0, 100},
}

func TestSchedulesAreThoseOfTransformers(t *testing.T) {
	file, err := os.Open("testdata/schedules.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for column, name := range rows[0][1:] {
		c, ok := columns[name]
		if !ok {
			t.Errorf("no schedule for column %s", name)
			continue
		}
		s, err := NewSchedule(job.Spec{LRScheduler: c.kind, WarmupSteps: c.warmup, LearningRate: 0.01})
		if err != nil {
			t.Fatal(err)
		}
		for step, row := range rows[1:] {
			want, err := strconv.ParseFloat(row[column+1], 64)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.At(uint64(step), c.total); math.Abs(got-want) > 1e-15 {
				t.Errorf("%s at step %d: %v, want %v", name, step, got, want)
			}
		}
	}
}

func TestWarmupRatioIsAShareOfAllSteps(t *testing.T) {
	for _, tt := range []struct {
		spec  job.Spec
		total uint64
		top   uint64 // first step at the peak
	}{
		{job.Spec{WarmupRatio: 0.03}, 200, 6},
		{job.Spec{WarmupRatio: 0.03}, 201, 7}, // rounded up, as transformers does
		{job.Spec{WarmupRatio: 0.5, WarmupSteps: 4}, 200, 4},
		{job.Spec{}, 200, 0},
	} {
		tt.spec.LRScheduler, tt.spec.LearningRate = "constant", 1
		s, err := NewSchedule(tt.spec)
		if err != nil {
			t.Fatal(err)
		}
		if s.At(tt.top, tt.total) != 1 || tt.top > 0 && s.At(tt.top-1, tt.total) >= 1 {
			t.Errorf("ratio %v, steps %d, of %d: %v at step %d; want the peak there first",
				tt.spec.WarmupRatio, tt.spec.WarmupSteps, tt.total, s.At(tt.top, tt.total), tt.top)
		}
	}
}

func TestNewScheduleRefusesAnUnknownName(t *testing.T) {
	_, err := NewSchedule(job.Spec{LRScheduler: "exponential"})
	if err == nil || !strings.Contains(err.Error(), `lr_scheduler "exponential": want`) {
		t.Errorf("error %v", err)
	}
}
