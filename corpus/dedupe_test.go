package corpus

import (
	"strings"
	"testing"

	"carillon/job"
)

func TestDuplicatesAreCountedAndLeftOut(t *testing.T) {
	chat := func(answer string) Example {
		return Example{Kind: TypeMessages, Messages: []Message{{"user", "hi"}, {"assistant", answer}}}
	}
	examples := []Example{
		completion("a", "b"), completion("a", "b"), completion("ab", ""), completion("", "ab"), apart(completion("a", "b")),
		chat("x"), chat("y"), chat("x"),
		{Kind: TypeRegression, Text: "a", Value: 1}, {Kind: TypeRegression, Text: "a", Value: 2},
		text("t"), continued(text("t")), text("t"), text("t"), // the second and third are one text
	}
	for _, leave := range []bool{false, true} {
		r := &Reading{examples: examples}
		r.dropDuplicates(leave)
		want := len(examples)
		if leave {
			want -= 3
		}
		if r.report.Duplicates != 3 || len(r.examples) != want || r.report.DuplicatesLeft != leave {
			t.Errorf("leave %v: %d duplicates, %d examples; want 3 and %d", leave, r.report.Duplicates, len(r.examples), want)
		}
	}
}

func TestOverlapIsThatOfInputsInOneForm(t *testing.T) {
	for _, tt := range []struct {
		train, heldOut Example
		want           int
	}{
		{completion("A  ﬁne\nday", "x"), completion("a fine DAY ", "y"), 1},
		{completion("a", "x"), completion("b", "x"), 0},
		{completion("", "x y"), completion("", "X Y"), 1},
		{completion("", "x"), completion("", "y"), 0},
		{Example{Text: "a", Text2: "b"}, Example{Text: "a", Text2: "B"}, 1},
		{Example{Text: "ab"}, Example{Text: "a", Text2: "b"}, 0},
		{Example{Messages: []Message{{"user", "Hi"}, {"assistant", "x"}}}, Example{Messages: []Message{{"user", "hi"}, {"assistant", "y"}}}, 1},
		{Example{Messages: []Message{{"user", "Hi"}, {"assistant", "x"}}}, Example{Messages: []Message{{"user", "ho"}, {"assistant", "x"}}}, 0},
	} {
		for _, leave := range []bool{false, true} {
			r := &Reading{examples: []Example{completion("other", "z"), tt.train, apart(tt.heldOut)}}
			r.dropOverlap(leave)
			left := 3
			if leave {
				left -= tt.want
			}
			if r.report.Overlap != tt.want || len(r.examples) != left || !r.examples[left-1].HeldOut {
				t.Errorf("%+v and %+v: overlap %d, %d left; want %d and %d", tt.train, tt.heldOut, r.report.Overlap, len(r.examples), tt.want, left)
			}
		}
	}
}

// Load leaves out what the recipe says, and what it says is reported.
func TestLoadLeavesOut(t *testing.T) {
	train := file(t, "train.jsonl", `{"prompt":"a","completion":"b"}
{"prompt":"a","completion":"b"}
{"prompt":"c","completion":"d"}
`)
	test := file(t, "test.jsonl", `{"prompt":" C","completion":"e"}`)
	spec := job.Spec{
		Datasets: []job.Dataset{{Path: train}}, TestDatasets: []job.Dataset{{Path: test}},
		DatasetExactDeduplication: true, RemoveOverlap: true, SequenceLen: 8, Method: "lora", Balance: "none",
	}
	out, report, err := prepare(t, bytewise(t, end), spec)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 2 || report.Duplicates != 1 || report.Overlap != 1 {
		t.Errorf("%d rows, %d duplicates, overlap %d; want 2, 1 and 1", len(out), report.Duplicates, report.Overlap)
	}
	for _, want := range []string{"duplicates  1 example like an earlier one, left out\n", "overlap     1 training example with the input of a held-out one, left out\n"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
}

// The last example of a class is never held out by chance.
func TestSplitLeavesEveryClassSomething(t *testing.T) {
	for seed := range uint64(50) {
		examples := labelled("a", "a", "a", "a", "b", "c", "c")
		for i := range examples {
			examples[i].Group = string(rune('a' + i))
		}
		if err := Split(examples, 4, seed); err != nil {
			t.Fatal(err)
		}
		left := map[string]int{}
		for _, x := range examples {
			if !x.HeldOut {
				left[x.Label]++
			}
		}
		if len(left) != 3 || countHeldOut(examples) != 4 {
			t.Errorf("seed %d: %v left, %d held out", seed, left, countHeldOut(examples))
		}
	}
	examples := labelled("a", "b")
	examples[1].Group = "other"
	if err := Split(examples, 1, 1); err == nil || !strings.Contains(err.Error(), "last examples of some class") {
		t.Errorf("err = %v; want one about classes", err)
	}
}
