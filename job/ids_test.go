package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

func TestNodeIDIsNewAtEveryStartAndKeepsItsName(t *testing.T) {
	for _, name := range []string{"n1", "host-7-n2", ""} {
		a, b := NewNodeID(name), NewNodeID(name)
		if a == b || a.Name() != name || len(a) != len(name)+1+16 {
			t.Errorf("NewNodeID(%q) = %s, then %s, name %q", name, a, b, a.Name())
		}
	}
	if got := NodeID("odd").Name(); got != "odd" {
		t.Errorf("Name of an id without digits = %q", got)
	}
}

func TestRosterNumbersAreOrderedByIncarnationFirst(t *testing.T) {
	ordered := []RosterNumber{{}, {0, 5}, {1, 0}, {1, 7}, {2, 1}}
	for i, a := range ordered {
		for j, b := range ordered {
			if a.Less(b) != (i < j) {
				t.Errorf("%v.Less(%v) = %v", a, b, a.Less(b))
			}
		}
		if a.IsZero() != (i == 0) {
			t.Errorf("%v.IsZero() = %v", a, a.IsZero())
		}
	}
	b, err := json.Marshal(RosterNumber{1, 7})
	if err != nil || string(b) != `{"incarnation":1,"count":7}` {
		t.Errorf("JSON %s, %v", b, err)
	}
}

func TestAnErrorCarriesItsPlaceOnce(t *testing.T) {
	at := At{"lora-7", RosterNumber{1, 4}, 1200, "n3-00"}
	cause := errors.New("link broke")
	err := at.Wrap("sum gradient", fmt.Errorf("hop 2: %w", cause))
	const want = "job lora-7 roster 1.4 step 1200 node n3-00: sum gradient: hop 2: link broke"
	if err.Error() != want || !errors.Is(err, cause) {
		t.Errorf("Wrap = %v\nwant   %s", err, want)
	}
	outer := At{Job: "other"}.Wrap("step", fmt.Errorf("ride: %w", err))
	if outer.Error() != "ride: "+want {
		t.Errorf("wrapped again: %v", outer)
	}
	if at.Wrap("nothing", nil) != nil {
		t.Error("no error became one")
	}
}

func TestAPlaceIsFourFieldsInALog(t *testing.T) {
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", KeyAt, At{"j", RosterNumber{1, 2}, 3, "n1-0"})
	for _, want := range []string{"at.job=j", "at.roster=1.2", "at.step=3", "at.node=n1-0"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s lacks %s", b.String(), want)
		}
	}
}

func TestParseDrills(t *testing.T) {
	got, err := ParseDrills("kill=n2@7, join=n4@12,kill=coordinator@9,")
	want := []Drill{{Kill, "n2", 7}, {Join, "n4", 12}, {Kill, Coordinator, 9}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("ParseDrills = %v, %v; want %v", got, err, want)
	}
	if s := fmt.Sprint(want); s != "[kill=n2@7 join=n4@12 kill=coordinator@9]" {
		t.Errorf("printed %s", s)
	}
	if got, err := ParseDrills(""); len(got) != 0 || err != nil {
		t.Errorf("nothing gives %v, %v", got, err)
	}
	for text, want := range map[string]string{
		"kill":               "want kill=NODE@STEP",
		"kill=n2":            "want kill=NODE@STEP",
		"stop=n2@7":          "want kill=NODE@STEP",
		"kill=n2@":           `step "": want a number from 1`,
		"kill=n2@0":          `step "0": want a number from 1`,
		"kill=n2@-1":         "want a number from 1",
		"join=coordinator@9": "only nodes join",
		"kill=x2@7":          `target "x2": want coordinator, or a node`,
		"kill=n0@7":          `target "n0"`,
		"kill=@7":            `target ""`,
	} {
		if _, err := ParseDrills("kill=n1@1," + text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("drill %q", text)) {
			t.Errorf("ParseDrills(%s): %v; want %s", text, err, want)
		}
	}
}
