package corpus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"carillon/job"
)

// file writes a file and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// equal says whether the same examples stand in both, in order.
func equal(a, b []Example) bool { return reflect.DeepEqual(a, b) }

func TestReadJSONLines(t *testing.T) {
	for _, tt := range []struct {
		name, kind, text string
		want             []Example
	}{
		{"pairs", TypePairs, `{"prompt":"a","completion":"b","more":1}` + "\n\n" + `{"prompt":"","completion":"c"}`,
			[]Example{{Prompt: "a", Completion: "b", From: "x.jsonl:1"}, {Completion: "c", From: "x.jsonl:3"}}},
		{"pairs, guessed", "", `{"completion":"b","prompt":"a","more":3}` + "\r\n",
			[]Example{{Prompt: "a", Completion: "b", From: "x.jsonl:1"}}},
		{"text", TypeText, `{"text":"a\nb"}`, []Example{{Text: "a\nb", From: "x.jsonl:1"}}},
		{"text, Axolotl's word", "completion", `{"text":"a"}`, []Example{{Text: "a", From: "x.jsonl:1"}}},
		{"text, guessed", "", `{"text":"é"}`, []Example{{Text: "é", From: "x.jsonl:1"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, report, err := Read(t.Context(), []job.Dataset{{Path: file(t, "x.jsonl", tt.text), Type: tt.kind}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range tt.want {
				tt.want[i].Kind = TypeText
				if tt.want[i].Completion != "" {
					tt.want[i].Kind = TypePairs
				}
			}
			if !equal(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if s := report.Sources[0]; s.Type == "" || s.Examples != len(got) {
				t.Errorf("report %+v", s)
			}
		})
	}
}

func TestReadNamesWhatIsWrong(t *testing.T) {
	good := `{"prompt":"a","completion":"b"}` + "\n"
	for _, tt := range []struct{ name, kind, text, want string }{
		{"x.jsonl", "", "\n \n", "no examples in it"},
		{"x.jsonl", "", good + good + `{"prompt":"a"}`, `x.jsonl:3: no field "completion", which type prompt_completion (guessed) wants; there are "prompt"`},
		{"x.jsonl", "", good + `{"prompt":null,"completion":"b"}`, `x.jsonl:2: field "prompt" is null, want a string`},
		{"x.jsonl", "", good + `{"prompt":3,"completion":"b"}`, `x.jsonl:2: field "prompt" is the number 3`},
		{"x.jsonl", "", good + `{"prompt":"a","completion":["b"]}`, `x.jsonl:2: field "completion" is a list`},
		{"x.jsonl", "", good + `{"prompt":"a","completion":""}`, `x.jsonl:2: field "completion" is empty`},
		{"x.json", "", "[" + good + `,{"prompt":"a","completion":{}}]`, `x.json, element 2 (line 2): field "completion" is an object`},
		{"x.csv", "", "prompt,completion\na,b\nc,\n", `x.csv:3: field "completion" is empty`},
		{"x.csv", "", "a,b", "no examples in it"},
		{"x.txt", TypePairs, "a", `x.txt: plain text, which type "prompt_completion" cannot be`},
	} {
		path := file(t, tt.name, tt.text)
		_, _, err := Read(t.Context(), []job.Dataset{{Path: path, Type: tt.kind}}, nil)
		if err == nil || !strings.Contains(err.Error(), "datasets[0] "+path+": "+tt.want) {
			t.Errorf("%q: err = %v; want the path and %q", tt.text, err, tt.want)
		}
	}
}

func TestReadNamesWrongPaths(t *testing.T) {
	for _, tt := range []struct {
		sets []job.Dataset
		want string
	}{
		{nil, "none given"},
		{[]job.Dataset{{Path: "go:cmd"}}, "datasets[0] go:cmd: unknown, want go:std or go:src"},
		{[]job.Dataset{{Path: GoSrc, Type: TypePairs}}, `type "prompt_completion", want text`},
		{[]job.Dataset{{Path: GoStd, Type: TypeText}}, `type "text", want prompt_completion`},
		{[]job.Dataset{{Path: "s3://bucket/x.jsonl"}}, "datasets[0] s3://bucket/x.jsonl: s3:// comes with S3 stores and is not read yet"},
		{[]job.Dataset{{Path: "x.jsonl", HeldOut: []string{"io"}}}, "use val_set_size"},
	} {
		if _, _, err := Read(t.Context(), tt.sets, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: err = %v; want %q", tt.sets, err, tt.want)
		}
	}
	for _, name := range []string{"none.jsonl", "none.txt"} {
		if _, _, err := Read(t.Context(), []job.Dataset{{Path: name}}, nil); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: err = %v; want one that says the file does not exist", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Read(ctx, []job.Dataset{{Path: GoStd}}, nil); err == nil {
		t.Error("reading goes on after the context has ended")
	}
}

func TestALongTextIsCutAtEmptyLines(t *testing.T) {
	paragraph := strings.Repeat("word ", 1000) + "\n\n"
	text := strings.Repeat(paragraph, 10)
	got, _, err := Read(t.Context(), []job.Dataset{{Path: file(t, "x.txt", text)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for i, x := range got {
		all.WriteString(x.Text)
		if !strings.HasSuffix(x.Text, "\n\n") || x.Continued != (i < len(got)-1) {
			t.Errorf("stretch %d ends with %q, continued %v", i, x.Text[len(x.Text)-5:], x.Continued)
		}
	}
	if len(got) != 3 || all.String() != text {
		t.Errorf("%d stretches of %d bytes in all, want 3 of %d", len(got), all.Len(), len(text))
	}
}

// groups returns n examples in groups of the sizes given.
func groups(sizes ...int) []Example {
	var out []Example
	for g, n := range sizes {
		for range n {
			out = append(out, Example{Text: "x", Group: string(rune('a' + g))})
		}
	}
	return out
}

// Renaming a file, sorting it, or adding the same record again moves nothing
// across the split.
func TestSplitDoesNotDependOnWhereARecordStands(t *testing.T) {
	split := func(from string, step int) map[string]bool {
		var examples []Example
		for i := range 100 {
			examples = append(examples, Example{Kind: TypePairs, Completion: strconv.Itoa((i * step) % 100 / 2), From: fmt.Sprintf("%s:%d", from, i+1)})
		}
		if err := Split(examples, 0.2, 42); err != nil {
			t.Fatal(err)
		}
		held := map[string]bool{}
		for _, x := range examples {
			if was, ok := held[x.Completion]; ok && was != x.HeldOut {
				t.Fatalf("one of two equal records is held out: %q", x.Completion)
			}
			held[x.Completion] = x.HeldOut
		}
		return held
	}
	if a, b := split("a.jsonl", 1), split("renamed.jsonl", 7); !maps.Equal(a, b) {
		t.Error("another file name or order gives another split")
	}
}

func TestSplitHoldsWholeGroupsOut(t *testing.T) {
	for _, tt := range []struct {
		size     float64
		min, max int
	}{{0, 0, 0}, {0.1, 2, 9}, {0.5, 10, 18}, {3, 3, 9}, {19, 10, 19}} {
		for seed := range uint64(20) {
			x := groups(3, 1, 7, 2, 5, 2)
			if err := Split(x, tt.size, seed); err != nil {
				t.Fatal(err)
			}
			state := map[string]bool{}
			for i, e := range x {
				if was, ok := state[e.Group]; ok && was != e.HeldOut {
					t.Fatalf("size %v, seed %d: group %s is cut at %d", tt.size, seed, e.Group, i)
				}
				state[e.Group] = e.HeldOut
			}
			if n := countHeldOut(x); n > tt.max || n < min(tt.min, tt.max) {
				t.Errorf("size %v, seed %d: %d held out, want %d to %d", tt.size, seed, n, tt.min, tt.max)
			}
		}
	}
}

func TestSplitDependsOnNamesNotOnOrder(t *testing.T) {
	a, b := groups(1, 1, 1, 1, 1, 1, 1, 1), groups(1, 1, 1, 1, 1, 1, 1, 1)
	slices.Reverse(b)
	if err := errors.Join(Split(a, 0.5, 1), Split(b, 0.5, 1)); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(b)
	if !equal(a, b) {
		t.Error("the order of the data changes what is held out")
	}
}

func TestSplitRefuses(t *testing.T) {
	held := groups(2, 2)
	held[0].HeldOut = true
	for _, tt := range []struct {
		examples []Example
		size     float64
		want     string
	}{
		{groups(4), 0.1, "of one group, a"},
		{groups(2, 2), -1, "val_set_size -1"},
		{groups(2, 2), 4, "with some left to train on"},
		{groups(2, 2), 0.9999, "with some left to train on"},
		{held, 0.1, "held out by held_out already"},
	} {
		if err := Split(tt.examples, tt.size, 1); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: err = %v; want %q", tt.size, err, tt.want)
		}
	}
}

func TestTextsLeaveHeldOutExamplesOut(t *testing.T) {
	got := slices.Collect(Texts([]Example{{Text: "a"}, {Text: "b", HeldOut: true}, {Prompt: "c", Completion: "d"}}))
	if want := []string{"a", "cd"}; !slices.Equal(got, want) {
		t.Errorf("texts %q, want %q", got, want)
	}
}
