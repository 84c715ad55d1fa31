package corpus

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"carillon/job"
)

// record is a row of the test data.
type record struct {
	Text  string `json:"text" parquet:"text"`
	Label string `json:"label" parquet:"label"`
}

// tenRecords have what formats trip over, as far as each of them can hold it.
var tenRecords = []record{
	{"plain", "a"}, {"with, a comma", "b"}, {`with "quotes"`, "a"}, {"é, 日本, 🙂", "b"}, {"", "empty"},
	{" spaces around ", "a"}, {`back\slash \n`, "b"}, {"'single'", "a"}, {"<tag> & more", "b"}, {"12", "3"},
}

// packed packs data as the name's ending says.
func packed(t testing.TB, name string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	switch filepath.Ext(name) {
	case ".gz":
		w := gzip.NewWriter(&b)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	case ".zst":
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	default:
		return data
	}
	return b.Bytes()
}

// inFormat writes records in the format of an ending.
func inFormat(t testing.TB, ending string, records []record) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch ending {
	case ".jsonl", ".ndjson":
		for _, r := range records {
			line, _ := json.Marshal(r)
			fmt.Fprintf(&b, "%s\n", line)
		}
	case ".json":
		var data []byte
		data, err = json.MarshalIndent(records, "", "  ")
		b.Write(data)
	case ".csv":
		w := csv.NewWriter(&b)
		err = w.Write([]string{"text", "label"})
		for _, r := range records {
			err = w.Write([]string{r.Text, r.Label})
		}
		w.Flush()
	case ".tsv":
		fmt.Fprint(&b, "text\tlabel\n")
		for _, r := range records {
			fmt.Fprintf(&b, "%s\t%s\n", r.Text, r.Label)
		}
	case ".parquet":
		err = parquet.Write(&b, records, parquet.MaxRowsPerRowGroup(4))
	default:
		t.Fatalf("no format %s", ending)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read returns the records of a data set and the errors on the way.
func readRecords(t testing.TB, d job.Dataset) (list []row, errs []error) {
	t.Helper()
	for r, err := range rows(t.Context(), d) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list = append(list, r)
	}
	return list, errs
}

func TestEveryFormatAndPackingHasTheSameRecords(t *testing.T) {
	for _, ending := range []string{".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"} {
		for _, packing := range []string{"", ".gz", ".zst"} {
			for _, variant := range []string{"", "Windows", "mark"} {
				name := "data" + ending + packing
				t.Run(name+variant, func(t *testing.T) {
					data := inFormat(t, ending, tenRecords)
					switch {
					case variant != "" && ending == ".parquet":
						t.Skip("no text")
					case variant == "Windows":
						data = bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
					case variant == "mark":
						data = append([]byte("\xEF\xBB\xBF"), data...)
					}
					got, errs := readRecords(t, job.Dataset{Path: file(t, name, string(packed(t, name, data)))})
					if errs != nil || len(got) != len(tenRecords) {
						t.Fatalf("%d records, errors %v; want %d", len(got), errs, len(tenRecords))
					}
					seen := map[string]bool{}
					for i, r := range tenRecords {
						if want := map[string]any{"text": r.Text, "label": r.Label}; !reflect.DeepEqual(got[i].fields, want) {
							t.Errorf("record %d is %v, want %v", i, got[i].fields, want)
						}
						if seen[got[i].from] || !strings.HasPrefix(got[i].from, name) {
							t.Errorf("record %d is from %q, want the file and a place of its own", i, got[i].from)
						}
						seen[got[i].from] = true
					}
				})
			}
		}
	}
}

// Files that were packed apart and put end to end are one file.
func TestPackedInParts(t *testing.T) {
	for _, name := range []string{"x.jsonl.gz", "x.jsonl.zst"} {
		var data []byte
		for i := range 3 {
			data = append(data, packed(t, name, inFormat(t, ".jsonl", tenRecords[3*i:3*i+3]))...)
		}
		got, errs := readRecords(t, job.Dataset{Path: file(t, name, string(data))})
		if errs != nil || len(got) != 9 || got[8].fields["text"] != tenRecords[8].Text || got[8].from != name+":9" {
			t.Errorf("%s: %v, errors %v; want the first 9 records", name, got, errs)
		}
	}
}

func TestPlacesOfRecords(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"x.jsonl", "{\"a\":1}\n\n{\"a\":2}", "x.jsonl:1 x.jsonl:3"},
		{"x.json", "\n{\"a\":1}\n{\"a\":2}", "x.json:2 x.json:3"},
		{"x.json", "[{\"a\":1},\n\n{\"a\":\n2}]", "x.json, element 1 (line 1) x.json, element 2 (line 3)"},
		{"x.csv", "a\n\"1\n2\"\n3\n", "x.csv:2 x.csv:4"},
		{"x.tsv", "a\tb\n1\t2\n\n3\t4", "x.tsv:2 x.tsv:4"},
	} {
		got, errs := readRecords(t, job.Dataset{Path: file(t, tt.name, tt.text)})
		var places []string
		for _, r := range got {
			places = append(places, r.from)
		}
		if places := strings.Join(places, " "); errs != nil || places != tt.want {
			t.Errorf("%q: %s, errors %v; want %s", tt.text, places, errs, tt.want)
		}
	}
}

func TestValuesOfRecords(t *testing.T) {
	number := func(s string) any { return json.Number(s) }
	for _, tt := range []struct {
		name, text string
		d          job.Dataset
		want       map[string]any
	}{
		{"x.jsonl", `{"n":1.50,"big":12345678901234567890,"b":true,"z":null,"l":[1,{"a":"b"}],"s":"\ud83d\ude42\\ud83d"}`, job.Dataset{},
			map[string]any{"n": number("1.50"), "big": number("12345678901234567890"), "b": true, "z": nil, "l": []any{number("1"), map[string]any{"a": "b"}}, "s": `🙂\ud83d`}},
		{"x.json", `[{"a":"]}\"{[","b":[[],{}]}]`, job.Dataset{}, map[string]any{"a": `]}"{[`, "b": []any{[]any{}, map[string]any{}}}},
		{"x.csv", "a,b\n\"1,\n\"\"2\"\"\",\n", job.Dataset{}, map[string]any{"a": "1,\n\"2\"", "b": ""}},
		{"x.csv", "1,2\n", job.Dataset{Columns: []string{"a", "b"}}, map[string]any{"a": "1", "b": "2"}},
		{"x.tsv", "\"1\t'2\"\n", job.Dataset{Columns: []string{"a", "b"}}, map[string]any{"a": `"1`, "b": `'2"`}},
		{"x.dat", "a\n1\n", job.Dataset{DsType: "csv"}, map[string]any{"a": "1"}},
		{"x.csv", `{"a":1}`, job.Dataset{DsType: "jsonl"}, map[string]any{"a": number("1")}},
		{"x.jsonl", `[{"a":1}]`, job.Dataset{DsType: "json"}, map[string]any{"a": number("1")}},
		{"x.md", "one\ntwo", job.Dataset{}, map[string]any{"text": "one\ntwo"}},
		{"x", "one", job.Dataset{FieldText: "body"}, map[string]any{"body": "one"}},
		{"x.jsonl", "one", job.Dataset{DsType: "text"}, map[string]any{"text": "one"}},
	} {
		tt.d.Path = file(t, tt.name, tt.text)
		got, errs := readRecords(t, tt.d)
		if errs != nil || len(got) != 1 || !reflect.DeepEqual(got[0].fields, tt.want) {
			t.Errorf("%s %q: %v, errors %v; want %v", tt.name, tt.text, got, errs, tt.want)
		}
	}
}

// A text is cut where it would be cut if it were in memory whole.
func TestStretches(t *testing.T) {
	var b strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&b, "line %d%s", i, strings.Repeat("\n", 1+i%7/6))
	}
	text := b.String()
	var want []string
	for rest := text; rest != ""; {
		n := len(rest)
		if n > stretch {
			if at := strings.Index(rest[stretch:], "\n\n"); at >= 0 {
				n = stretch + at + 2
			}
		}
		want, rest = append(want, rest[:n]), rest[n:]
	}
	for _, name := range []string{"x.txt", "x.txt.gz", "x.zst"} {
		got, errs := readRecords(t, job.Dataset{Path: file(t, name, string(packed(t, name, []byte(text))))})
		if errs != nil || len(got) != len(want) {
			t.Fatalf("%s: %d stretches, errors %v; want %d", name, len(got), errs, len(want))
		}
		for i, r := range got {
			if r.fields["text"] != want[i] || r.continued != (i < len(want)-1) || r.from != fmt.Sprintf("%s, stretch %d", name, i+1) {
				t.Errorf("%s: stretch %d is %d bytes long, continued %v, from %q; want %d bytes", name, i, len(r.fields["text"].(string)), r.continued, r.from, len(want[i]))
			}
		}
	}
}

// shared returns a path of the shared data.
func shared(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the shared data are not here: %v", err)
	}
	return path
}

func TestRealData(t *testing.T) {
	for _, tt := range []struct {
		d      job.Dataset
		field  string
		rows   int
		labels int
	}{
		{job.Dataset{Path: "sst2/train.tsv"}, "sentence", 0, 2},
		{job.Dataset{Path: "sst2/dev.tsv"}, "sentence", 872, 2},
		{job.Dataset{Path: "agnews/train.tsv", Columns: []string{"text", "label"}}, "text", 0, 4},
		{job.Dataset{Path: "agnews/test.tsv", Columns: []string{"text", "label"}}, "text", 0, 4},
	} {
		name := tt.d.Path
		tt.d.Path = shared(t, name)
		got, errs := readRecords(t, tt.d)
		data, err := os.ReadFile(tt.d.Path)
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Count(data, []byte("\n"))
		if tt.d.Columns == nil {
			want--
		}
		labels := map[any]int{}
		for _, r := range got {
			labels[r.fields["label"]]++
			if r.fields[tt.field] == "" {
				t.Errorf("%s: an empty text", r.from)
			}
		}
		if errs != nil || len(got) != want || len(labels) != tt.labels {
			t.Errorf("%s: %d records with %d labels, errors %v; want %d with %d", name, len(got), len(labels), errs, want, tt.labels)
		}
	}
}
