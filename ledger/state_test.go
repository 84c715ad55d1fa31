package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"carillon/job"
	"carillon/roster"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func number(count uint32) job.RosterNumber { return job.RosterNumber{Incarnation: 1, Count: count} }

func aRoster(count uint32, names ...string) *roster.Roster {
	r := roster.Roster{Number: number(count), Kind: roster.Forced, Reason: "a test"}
	if count > 1 {
		r.Base = number(count - 1)
	}
	for _, n := range names {
		r.Members = append(r.Members, roster.Member{ID: job.NodeID(n + "-1"), Name: n})
	}
	return &r
}

func checkpointAt(generation, step uint64) *Checkpoint {
	return &Checkpoint{Name: fmt.Sprintf("%d-%d", generation, step), Generation: generation, Step: step, Digest: "d", Size: 3, Chunks: []Chunk{{"c", 3}}}
}

// begun are the entries that a job begins with.
func begun() []Entry {
	return []Entry{
		{Submit: &Submit{Spec: json.RawMessage(`{"lanes":8}`)}},
		{Submit: &Submit{Identity: "i", DataHash: "d", BaseHash: "b", Steps: 20}},
		{Claim: &Claim{Incarnation: 1}},
		{Probe: &Probe{Probe: "p", Node: "a-1", Host: "here"}},
		{Roster: aRoster(1, "a", "b")},
		{Complete: checkpointAt(0, 10)},
	}
}

func applyAll(t *testing.T, entries ...Entry) (s State) {
	t.Helper()
	for i, e := range entries {
		if err := s.Apply(complete(e)); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	return s
}

func complete(e Entry) Entry {
	e.Version, e.Time, e.Job = Version, noon, "j"
	return e
}

func TestEntryThatFitsIsAppliedAndAnotherIsVoid(t *testing.T) {
	drill := &job.Drill{Kind: job.Kill, Target: job.Coordinator, Step: 4}
	for _, tt := range []struct {
		name   string
		before []Entry // after begun
		entry  Entry
		void   bool
	}{
		{"the same submission again", nil, Entry{Submit: &Submit{Spec: json.RawMessage(`{"lanes":8}`), Steps: 20}}, false},
		{"a submission with another spec of the same identity", nil, Entry{Submit: &Submit{Spec: json.RawMessage(`{"nodes":4}`), Identity: "i"}}, false},
		{"a submission with another identity", nil, Entry{Submit: &Submit{Identity: "k"}}, true},
		{"a submission with other data", nil, Entry{Submit: &Submit{DataHash: "other"}}, true},
		{"a submission with other steps", nil, Entry{Submit: &Submit{Steps: 21}}, true},
		{"a second claim", nil, Entry{Claim: &Claim{Incarnation: 2}}, true},
		{"a second probe", nil, Entry{Probe: &Probe{Probe: "q"}}, true},
		{"the next roster", nil, Entry{Roster: aRoster(2, "a")}, false},
		{"the same roster again", nil, Entry{Roster: aRoster(1, "a", "b")}, true},
		{"a roster that skips a number", nil, Entry{Roster: aRoster(3, "a")}, true},
		{"a roster decided on an older base", []Entry{{Roster: aRoster(2, "a")}}, Entry{Roster: aRoster(2, "b")}, true},
		{"a roster of nobody", nil, Entry{Roster: aRoster(2)}, true},
		{"a later checkpoint", nil, Entry{Complete: checkpointAt(0, 12)}, false},
		{"an earlier checkpoint", nil, Entry{Complete: checkpointAt(0, 8)}, true},
		{"the same checkpoint again", nil, Entry{Complete: checkpointAt(0, 10)}, true},
		{"a checkpoint of another generation", nil, Entry{Complete: checkpointAt(1, 12)}, true},
		{"a restore", nil, Entry{Restore: &Restore{Name: "0-5", Generation: 1, Step: 5}}, false},
		{"a restore that skips a generation", nil, Entry{Restore: &Restore{Generation: 2, Step: 5}}, true},
		{"a checkpoint from before a restore", []Entry{{Restore: &Restore{Name: "0-5", Generation: 1, Step: 5}}}, Entry{Complete: checkpointAt(0, 12)}, true},
		{"a checkpoint after a restore", []Entry{{Restore: &Restore{Name: "0-5", Generation: 1, Step: 5}}}, Entry{Complete: checkpointAt(1, 8)}, false},
		{"a checkpoint not above the restored one", []Entry{{Restore: &Restore{Name: "0-5", Generation: 1, Step: 5}}}, Entry{Complete: checkpointAt(1, 5)}, true},
		{"an evaluation", nil, Entry{Judge: &Eval{Step: 12}}, false},
		{"an evaluation that counts already", []Entry{{Judge: &Eval{Step: 12}}}, Entry{Judge: &Eval{Step: 12}}, true},
		{"an evaluation again after a restore", []Entry{{Judge: &Eval{Step: 12}}, {Restore: &Restore{Name: "0-5", Generation: 1, Step: 5}}}, Entry{Judge: &Eval{Step: 12}}, false},
		{"a removal of the best checkpoint", []Entry{{Judge: &Eval{Step: 12}}, {Complete: checkpointAt(0, 12)}, {Complete: checkpointAt(0, 14)}}, Entry{Remove: &Remove{[]string{"0-12"}}}, true},
		{"a removal", nil, Entry{Remove: &Remove{[]string{"0-5"}}}, false},
		{"a removal of the newest checkpoint", nil, Entry{Remove: &Remove{[]string{"0-10"}}}, true},
		{"a restore of what was removed", []Entry{{Remove: &Remove{[]string{"0-5"}}}}, Entry{Restore: &Restore{Name: "0-5", Generation: 1, Step: 5}}, true},
		{"a drill", nil, Entry{Drill: drill}, false},
		{"a drill a second time", []Entry{{Drill: drill}}, Entry{Drill: drill}, true},
		{"a stop", nil, Entry{Stop: &Stop{"asked"}}, false},
		{"an end", nil, Entry{End: &End{Step: 20}}, false},
		{"a roster of a job that was reopened", []Entry{{End: &End{Step: 12}}, {Submit: &Submit{Steps: 20}}}, Entry{Roster: aRoster(2, "c")}, false},
		{"a roster after the end", []Entry{{End: &End{Step: 20}}}, Entry{Roster: aRoster(2, "a")}, true},
		{"nothing", nil, Entry{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := applyAll(t, append(begun(), tt.before...)...)
			was, err := s.encode()
			if err != nil {
				t.Fatal(err)
			}
			err = s.Apply(complete(tt.entry))
			is, _ := s.encode()
			if errors.Is(err, ErrVoid) != tt.void || (err != nil && !tt.void) {
				t.Fatalf("err = %v, want void: %v", err, tt.void)
			}
			if tt.void && string(is) != string(was) {
				t.Errorf("a void entry changed\n%s\nto\n%s", was, is)
			}
		})
	}
}

func TestEntryOfAnotherVersionOrJobIsVoid(t *testing.T) {
	for name, e := range map[string]Entry{
		"version": {Version: Version + 1, Job: "j", Submit: &Submit{}},
		"no job":  {Version: Version, Submit: &Submit{}},
		"unknown": {Version: Version, Job: "k", Stop: &Stop{}},
	} {
		s := applyAll(t, begun()...)
		if err := s.Apply(e); !errors.Is(err, ErrVoid) {
			t.Errorf("%s: err = %v, want void", name, err)
		}
	}
}

// A job that ended begins again with whatever nodes come, from what it has saved.
func TestSubmissionReopensAJobThatEnded(t *testing.T) {
	s := applyAll(t, append(begun(), Entry{Stop: &Stop{"asked"}}, Entry{End: &End{Step: 12}}, Entry{Submit: &Submit{}})...)
	j := s.Jobs["j"]
	if j.End != nil || j.Stop != nil || len(j.Roster.Members) != 0 || j.Roster.Number != number(1) || j.Complete == nil {
		t.Errorf("the job is %+v", j)
	}
}

// A copy of the struct is a snapshot: what is applied later does not show in it.
func TestCopyOfStateIsASnapshot(t *testing.T) {
	s := applyAll(t, begun()...)
	copied := s
	was, err := copied.encode()
	if err != nil {
		t.Fatal(err)
	}
	for count := uint32(2); count < 100; count++ { // beyond keptChanges
		if err := s.Apply(complete(Entry{Roster: aRoster(count, "a")})); err != nil {
			t.Fatal(err)
		}
	}
	if is, _ := copied.encode(); string(is) != string(was) {
		t.Errorf("the copy became\n%s\nfrom\n%s", is, was)
	}
	if h := s.Jobs["j"].History; len(h) != keptChanges || h[len(h)-1].Number != number(99) {
		t.Errorf("history has %d changes and ends with %v", len(h), h[len(h)-1].Number)
	}
}

func TestSnapshotAndEntryRoundTrip(t *testing.T) {
	var s State
	for _, e := range begun() {
		data, err := complete(e).Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(data)
		if err != nil || !reflect.DeepEqual(back, complete(e)) {
			t.Fatalf("entry came back as %+v, %v", back, err)
		}
		if err := s.Apply(back); err != nil {
			t.Fatal(err)
		}
	}
	data, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := decodeState(data)
	if err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("state came back as %+v, %v", back, err)
	}
	if _, err := decodeState([]byte(`{"version":2,"jobs":{"j":{}}}`)); err == nil {
		t.Error("a snapshot of version 2 was read")
	}
}

// Whatever is in the log, Apply answers with an error or a state that can be
// written down and read again.
func FuzzDecodeAndApply(f *testing.F) {
	for _, e := range begun() {
		data, err := complete(e).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"version":1,"job":"j","restore":{"generation":18446744073709551615}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Decode(data)
		if err != nil {
			return
		}
		s := applyAll(t, begun()...)
		if s.Apply(e) != nil {
			return
		}
		written, err := s.encode()
		if err != nil {
			t.Skip("a raw spec that is no JSON cannot come from Decode")
		}
		if _, err := decodeState(written); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
	})
}
