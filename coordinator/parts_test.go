package coordinator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/wire"
)

var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func record(step uint64) wire.StepRecord {
	return wire.StepRecord{Step: step, Tail: [8]int64{4, 2, 10 << 20}, Seconds: 0.5, Nodes: 3, Digest: digestAt(step)}
}

func digestAt(step uint64) string { return fmt.Sprintf("%064d", step) }

func steps(rs []wire.StepRecord) (out []uint64) {
	for _, r := range rs {
		out = append(out, r.Step)
	}
	return out
}

func TestRecordsComeOutOnceAndInOrder(t *testing.T) {
	r := newRecords()
	for _, b := range []wire.Beat{
		{ID: "a", Records: []wire.StepRecord{record(2), record(3)}},
		{ID: "b", Records: []wire.StepRecord{record(1), record(2)}},
	} {
		if alarm := r.hear(b); alarm != "" {
			t.Fatal(alarm)
		}
	}
	if got := steps(r.next(start)); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Fatalf("steps %d came out, want 1 2 3", got)
	}
	r.wrote(3)
	r.hear(wire.Beat{ID: "c", Records: []wire.StepRecord{record(3)}})
	if got := r.next(start); len(got) > 0 {
		t.Errorf("steps %d came out again", steps(got))
	}
}

// Whoever made step 2 died before it could tell; the others got the state.
func TestRecordThatNobodyHasIsGivenUp(t *testing.T) {
	r := newRecords()
	r.hear(wire.Beat{ID: "a", Records: []wire.StepRecord{record(3), record(4)}})
	for _, tt := range []struct {
		after time.Duration
		want  []uint64
	}{{0, nil}, {gapPatience - 1, nil}, {gapPatience, []uint64{3, 4}}} {
		if got := steps(r.next(start.Add(tt.after))); !slices.Equal(got, tt.want) {
			t.Errorf("after %v steps %d came out, want %d", tt.after, got, tt.want)
		}
	}
}

func TestTwoDigestsAtOneStepAreAnAlarm(t *testing.T) {
	r := newRecords()
	r.hear(wire.Beat{ID: "a-1", Records: []wire.StepRecord{record(1)}})
	alarm := r.hear(wire.Beat{ID: "b-1", Ready: true, Step: 1, Digest: digestAt(7)})
	if !strings.Contains(alarm, "a-1") || !strings.Contains(alarm, "b-1") || !strings.Contains(alarm, "step 1") {
		t.Errorf("alarm = %q", alarm)
	}
}

const twoChunks = checkpoint.ChunkSize + 10

func parts(step uint64, digest string, indices ...int) (out []wire.Part) {
	for _, i := range indices {
		p := wire.Part{Step: step, Digest: digest, Index: i, SHA256: fmt.Sprintf("%064d", i)}
		switch i {
		case wire.Whole:
			p.Size = twoChunks
		case 0:
			p.Size = checkpoint.ChunkSize
		default:
			p.Size = twoChunks - checkpoint.ChunkSize
		}
		out = append(out, p)
	}
	return out
}

func TestPlanIsWholeWithAllChunksOfOneState(t *testing.T) {
	ps := plans{}
	ps.hear(start, wire.Beat{ID: "a", Parts: parts(5, "d", wire.Whole, 0)}, 0, 0)
	ps.hear(start, wire.Beat{ID: "b", Parts: parts(5, "other", wire.Whole, 1)}, 0, 0)
	if p := ps.newest((*plan).whole); p != nil {
		t.Fatalf("parts of two plans were added up: %+v", p)
	}
	if !ps.hear(start, wire.Beat{ID: "c", Parts: parts(5, "d", 1)}, 0, 0) {
		t.Error("a new part is no news")
	}
	p := ps.newest((*plan).whole)
	if p == nil {
		t.Fatal("the plan is not whole")
	}
	e := p.entry(nil)
	if e.Step != 5 || e.Digest != "d" || e.Size != twoChunks || len(e.Chunks) != 2 || e.Chunks[1].Size != 10 || e.Name != checkpoint.Name(0, 5) {
		t.Errorf("entry %+v", e)
	}
	if ps.hear(start, wire.Beat{ID: "c", Parts: parts(5, "d", 0, 1)}, 0, 5) || ps.hear(start, wire.Beat{ID: "c", Parts: parts(6, "d", 0)}, 1, 5) {
		t.Error("a part of what is saved, or of another generation, is news")
	}
	ps.forget(5)
	if len(ps) != 0 {
		t.Errorf("%d plans are left", len(ps))
	}
}

// Who keeps a copy is asked for what is missing, one after another, if they live.
func TestLivingHoldersTakeTurnsWithMissingChunks(t *testing.T) {
	ps := plans{}
	for _, id := range []job.NodeID{"a", "b", "c"} {
		ps.hear(start, wire.Beat{ID: id, Parts: parts(5, "d", wire.Whole)}, 0, 0)
	}
	ps.hear(start, wire.Beat{ID: "a", Parts: parts(5, "d", 0)}, 0, 0)
	alive := func(id job.NodeID) bool { return id != "b" }
	for _, tt := range []struct {
		after time.Duration
		asked job.NodeID
	}{{0, ""}, {holderPatience, "a"}, {2 * holderPatience, "c"}, {3 * holderPatience, "a"}} {
		for _, id := range []job.NodeID{"a", "b", "c"} {
			step, chunks := ps.wanted(start.Add(tt.after), id, alive)
			if want := id == tt.asked; want != (step == 5 && slices.Equal(chunks, []int{1})) || !want && len(chunks) > 0 {
				t.Errorf("after %v %s is asked for %d of step %d, want %s to be asked", tt.after, id, chunks, step, tt.asked)
			}
		}
	}
}

func readSteps(t *testing.T, path string) (out []uint64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var m Metrics
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		out = append(out, m.Step)
	}
	return out
}

func append2(t *testing.T, j *journal, from, to uint64) uint64 {
	t.Helper()
	var rs []wire.StepRecord
	for s := from; s <= to; s++ {
		rs = append(rs, record(s))
	}
	step, err := j.append(rs)
	if err != nil {
		t.Fatal(err)
	}
	return step
}

func mustOpen(t *testing.T, path string) *journal {
	t.Helper()
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.close() })
	return j
}

// A deposed leader that does not know it, and its successor, write each step once.
func TestJournalOfTwoLeadersHoldsEachStepOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out", "metrics.jsonl")
	old := mustOpen(t, path)
	append2(t, old, 1, 3)
	fresh := mustOpen(t, path)
	if fresh.step != 3 {
		t.Fatalf("the new leader goes on after step %d, want 3", fresh.step)
	}
	append2(t, fresh, 4, 6)
	if step := append2(t, old, 4, 7); step != 7 {
		t.Errorf("the file ends with step %d, want 7", step)
	}
	append2(t, fresh, 7, 8)
	if got := readSteps(t, path); !slices.Equal(got, []uint64{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("the file holds steps %d", got)
	}
}

func TestJournalCutsOffALineThatWasNotEnded(t *testing.T) {
	for _, rest := range []string{"", `{"step":3,"lo`} {
		path := filepath.Join(t.TempDir(), "metrics.jsonl")
		append2(t, mustOpen(t, path), 1, 2)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(rest); err != nil {
			t.Fatal(err)
		}
		f.Close()
		append2(t, mustOpen(t, path), 3, 3)
		if got := readSteps(t, path); !slices.Equal(got, []uint64{1, 2, 3}) {
			t.Errorf("the file holds steps %d", got)
		}
	}
}

func TestJournalRefusesAFileThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	if err := os.WriteFile(path, []byte("hello\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(path); err == nil || !strings.Contains(err.Error(), "move the file away") {
		t.Errorf("err = %v", err)
	}
}

func TestMetricsAreMeansPerToken(t *testing.T) {
	r := record(1)
	r.EvalTail = &[8]int64{2, 1, 3 << 20}
	m := MetricsOf(r)
	if m.Loss != 2.5 || m.TokensPerSecond != 8 || m.EvalLoss == nil || *m.EvalLoss != 1.5 {
		t.Errorf("metrics %+v", m)
	}
}
