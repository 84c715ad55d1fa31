package train

import (
	"encoding/json"
	"strings"
	"testing"

	"carillon/job"
)

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDecide is the rule of the hello, a row a case. A hello is written as its
// step; roster 1.2 and digest "dN" at step N unless it is changed.
func TestDecide(t *testing.T) {
	now := job.RosterNumber{Incarnation: 1, Count: 2}
	at := func(node string, step uint64, change ...func(*Hello)) Hello {
		h := Hello{Protocol: Protocol, Node: job.NodeID(node), Roster: now, Identity: "job", Step: step, Digest: "d" + string(rune('0'+step))}
		for _, c := range change {
			c(&h)
		}
		return h
	}
	saved := func(n uint64) func(*Hello) { return func(h *Hello) { h.Saved = n } }
	old := func(h *Hello) { h.Roster.Count-- }
	for _, tt := range []struct {
		name string
		mine Hello
		b, c Hello // of ranks 1 and 2
		do   action
		from int
		err  string
	}{
		{name: "all stand together", mine: at("a", 3), b: at("b", 3), c: at("c", 3), do: proceed},
		{name: "nobody has said hello", mine: at("a", 3), do: wait},
		{name: "one hello is missing", mine: at("a", 3), b: at("b", 3), do: wait},
		{name: "one hello is of an older roster", mine: at("a", 3), b: at("b", 3), c: at("c", 3, old), do: wait},
		{name: "a hello of an older roster does not count, even from further on", mine: at("a", 3), b: at("b", 4, old), c: at("c", 3), do: wait},
		{name: "somebody is behind", mine: at("a", 3), b: at("b", 2), c: at("c", 3), do: wait},
		{name: "one step behind", mine: at("a", 3), b: at("b", 4), c: at("c", 3), do: catchUp, from: 1},
		{name: "behind both: the furthest", mine: at("a", 3), b: at("b", 4), c: at("c", 5), do: catchUp, from: 2},
		{name: "no need to wait for a third to catch up", mine: at("a", 3), b: at("b", 4), do: catchUp, from: 1},
		{name: "all behind the checkpoint", mine: at("a", 3), b: at("b", 3), c: at("c", 3, saved(6)), do: restore},
		{name: "a peer stands where the checkpoint does", mine: at("a", 3), b: at("b", 6), c: at("c", 3, saved(6)), do: catchUp, from: 1},
		{name: "further than the others, not than the checkpoint", mine: at("a", 4, saved(6)), b: at("b", 3), c: at("c", 3), do: restore},
		{name: "the checkpoint counts only when all are heard", mine: at("a", 3, saved(6)), b: at("b", 3), do: wait},
		{name: "an old checkpoint is no reason", mine: at("a", 3, saved(2)), b: at("b", 3), c: at("c", 3), do: proceed},
		{name: "another digest", mine: at("a", 3), b: at("b", 3, func(h *Hello) { h.Digest = "x" }), c: at("c", 3), err: "computes or remembers wrongly"},
		{name: "another job", mine: at("a", 3), b: at("b", 3, func(h *Hello) { h.Identity = "x" }), c: at("c", 3), err: "job identity"},
		{name: "another version", mine: at("a", 3), b: at("b", 3), c: at("c", 3, func(h *Hello) { h.Protocol = 9 }), err: "protocol 9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := decide(tt.mine, 0, []Hello{{}, tt.b, tt.c})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got error %v, want one with %q", err, tt.err)
				}
				return
			}
			if err != nil || v.do != tt.do || v.from != tt.from {
				t.Errorf("got %+v, %v; want action %d from %d", v, err, tt.do, tt.from)
			}
			if v.do != proceed && v.reason == "" {
				t.Error("no reason")
			}
		})
	}
}
