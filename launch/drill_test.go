package launch

import (
	"strings"
	"testing"

	"carillon/job"
)

func TestDrillsThatCannotFireAreRefused(t *testing.T) {
	for _, tt := range []struct{ drills, want string }{
		{"", ""},
		{"kill=n2@7,kill=coordinator@10,join=n4@9", ""},
		{"join=n4@5,kill=n4@8", ""},
		{"kill=n4@7", "drill kill=n4@7: there is no node n4, only n1, n2, n3"},
		{"kill=n1@11", "drill kill=n1@11: it would never fire, in a job of 10 steps; want a step up to 10"},
		{"kill=coordinator@11", "want a step up to 10"},
		{"join=n4@10", "want a step up to 9"},
		{"join=n3@2", "n3 is there from the start; let another join, such as n4"},
		{"join=n4@2,join=n4@3", "drill join=n4@3: n4 joins already in another drill"},
	} {
		drills, err := job.ParseDrills(tt.drills)
		if err != nil {
			t.Fatal(err)
		}
		switch err := checkDrills(job.Spec{Nodes: 3, MaxSteps: 10}, drills); {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.drills, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.drills, err, tt.want)
		}
	}
	if err := checkDrills(job.Spec{Nodes: 1}, []job.Drill{{Kind: job.Kill, Target: "n1", Step: 99}}); err != nil {
		t.Errorf("where the number of steps is not known yet: %v", err)
	}
}
