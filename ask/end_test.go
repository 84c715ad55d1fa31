package ask

import (
	"path/filepath"
	"testing"

	"carillon/ask/asktest"
	"carillon/backend/backendtest"
	"carillon/job"
)

// A prompt's own end ends its answer, and no other's.
func TestAPromptsOwnEndEndsItsAnswer(t *testing.T) {
	be, dir := backendtest.Go(t), filepath.Join(t.TempDir(), "base")
	if err := asktest.Base(be, dir); err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), be, dir, "", job.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	p := a.prompt("the bell")
	drawn, err := a.session().Generate([][]int32{p.tokens}, 6, -1)
	if err != nil || len(drawn[0]) != 6 {
		t.Fatalf("drew %v, %v; want six tokens", drawn, err)
	}
	end := drawn[0][3]
	first := 0
	for drawn[0][first] != end {
		first++
	}
	answers, err := a.write(t.Context(), []prompt{{p.tokens, end}, p}, Writing{MaxNew: 6})
	if err != nil || answers[0].Tokens != first+1 || answers[1].Tokens != 6 {
		t.Errorf("%+v, %v; want %d tokens, and 6", answers, err, first+1)
	}
}
