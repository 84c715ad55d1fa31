package ask

import (
	"path/filepath"
	"strings"
	"testing"

	"carillon/ask/asktest"
	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/model"
)

// A model with a decoder answers what its encoder reads, with beams and without:
// what the session draws, cut at the stops.
func TestADecoderAnswers(t *testing.T) {
	be, dir := backendtest.Go(t), filepath.Join(t.TempDir(), "base")
	if err := asktest.Make(be, dir, asktest.T5, asktest.Vocab); err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), be, dir, "", job.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	source := a.tok.Single(a.tok.Encode("the bell rings", nil), nil)
	for _, beams := range []int{1, 3} {
		drawn, err := a.session().Write([][]int32{source}, model.Writing{MaxNew: 8, Stop: 259, NumBeams: beams, LengthPenalty: 1})
		if err != nil {
			t.Fatal(err)
		}
		want := a.tok.DecodeText(drawn[0])
		if len(want) < 3 {
			t.Fatalf("%d beams: the answer %q is too short to be cut", beams, want)
		}
		stop := want[2:3]
		cut, _, _ := strings.Cut(want, stop)
		for _, tt := range []struct {
			stops []string
			want  string
		}{{nil, want}, {[]string{stop}, cut}} {
			said := ""
			w := Writing{MaxNew: 8, Stop: tt.stops, NumBeams: beams, LengthPenalty: 1, Said: func(_ int, text string) { said += text }}
			got, err := a.Write(t.Context(), []string{"the bell rings"}, w)
			if err != nil || said != got[0] {
				t.Fatalf("%d beams, stops %q: %q, said %q, %v", beams, tt.stops, got, said, err)
			}
			if beams > 1 && tt.stops != nil { // where texts may end, others are the likeliest
				if strings.Contains(said, stop) {
					t.Errorf("%d beams: the stop %q is in %q", beams, stop, said)
				}
			} else if said != tt.want {
				t.Errorf("%d beams, stops %q: %q, want %q", beams, tt.stops, said, tt.want)
			}
		}
	}
	if err := (Writing{NumBeams: 2, Sampling: model.Sampling{Temperature: 1}}).Check(); err == nil || !strings.Contains(err.Error(), "2 beams") {
		t.Errorf("beams that draw: %v", err)
	}
}
