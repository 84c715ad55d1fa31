package corpus

import (
	"fmt"
	"strings"
)

// Report counts what was read and what was left out.
type Report struct {
	Sources []Source

	Train, HeldOut   int // examples that go into the shard
	Tokens           int // of the training examples
	HeldOutTokens    int
	Learnt           int // tokens of the training examples that are learnt
	Longest          int // tokens of the longest example kept
	Dropped          int // examples longer than sequence_len, left out
	Truncated        int // examples longer than sequence_len, cut
	LongestLeftOut   int // tokens of the longest example that was dropped or cut
	TextBytes        int // bytes of the training text, for bits per byte
	HeldOutTextBytes int
}

// Source is one data set of the recipe.
type Source struct {
	Path, Type  string
	Version     string // of Go, for go:std and go:src
	Examples    int    // read
	HeldOut     int    // of them, held out by a list
	Groups      int    // packages; 0 where there are none
	Duplicates  int    // exact ones, left out
	Deprecated  int    // left out
	Undescribed int    // exported, but without a comment; left out
}

// String is one line a source and one for the whole.
func (r Report) String() string {
	var b strings.Builder
	for _, s := range r.Sources {
		fmt.Fprintln(&b, s)
	}
	fmt.Fprintf(&b, "%d training examples, %d tokens (%d learnt); %d held out, %d tokens",
		r.Train, r.Tokens, r.Learnt, r.HeldOut, r.HeldOutTokens)
	if r.Dropped > 0 {
		fmt.Fprintf(&b, "; %d too long, dropped", r.Dropped)
	}
	if r.Truncated > 0 {
		fmt.Fprintf(&b, "; %d too long, cut", r.Truncated)
	}
	return b.String()
}

// String says what was read in one line.
func (s Source) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", s.Path)
	if s.Version != "" {
		fmt.Fprintf(&b, " (%s)", s.Version)
	}
	fmt.Fprintf(&b, ": %d examples of type %s", s.Examples, s.Type)
	for _, count := range []struct {
		n    int
		what string
	}{
		{s.Groups, "packages"}, {s.HeldOut, "held out by package"}, {s.Duplicates, "duplicates left out"},
		{s.Deprecated, "deprecated left out"}, {s.Undescribed, "without a comment left out"},
	} {
		if count.n > 0 {
			fmt.Fprintf(&b, ", %d %s", count.n, count.what)
		}
	}
	return b.String()
}
