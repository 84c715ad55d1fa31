package job

import (
	"reflect"
	"testing"
)

func TestWhatTheDataDecidesComesFromTheJobGoneOnWith(t *testing.T) {
	saved := Spec{TaskType: SeqCls, ExcessLengthStrategy: "truncate", Labels: []string{"no", "yes"}, ClassWeights: []float64{1, 2}}
	if got := (Spec{}).ResolvedAs(saved); !reflect.DeepEqual(got, saved) {
		t.Errorf("got %+v, want %+v", got, saved)
	}
	own := Spec{TaskType: CausalLM, ExcessLengthStrategy: "error", Labels: []string{"a"}, ClassWeights: []float64{3}}
	if got := own.ResolvedAs(saved); !reflect.DeepEqual(got, own) {
		t.Errorf("got %+v, want what the recipe says itself, %+v", got, own)
	}
}

func TestMaskedTextsAreCutAndAskedForTheUsualShare(t *testing.T) {
	var s Spec
	if s.SetTask(MaskedLM); s.MLMProbability != 0.15 || s.ExcessLengthStrategy != "" {
		t.Errorf("share %v, excess %q; want 0.15 and none", s.MLMProbability, s.ExcessLengthStrategy)
	}
	s.MLMProbability = 0.4
	if s.SetTask(MaskedLM); s.MLMProbability != 0.4 {
		t.Errorf("the recipe's share of 0.4 became %v", s.MLMProbability)
	}
	if again := (Spec{}).ResolvedAs(s); !reflect.DeepEqual(again, s) {
		t.Errorf("gone on with as %+v, want %+v", again, s)
	}
}

func TestLongExamplesAreCutWhereTheirStartTells(t *testing.T) {
	for task, want := range map[string]string{CausalLM: "drop", Seq2SeqLM: "drop", SeqCls: "truncate", Regression: "truncate"} {
		var s Spec
		if s.SetTask(task); s.TaskType != task || s.ExcessLengthStrategy != want {
			t.Errorf("%s: task %s, excess %s; want %s", task, s.TaskType, s.ExcessLengthStrategy, want)
		}
		s.ExcessLengthStrategy = "error"
		if s.SetTask(task); s.ExcessLengthStrategy != "error" {
			t.Errorf("%s: what the recipe says is changed to %s", task, s.ExcessLengthStrategy)
		}
	}
}
