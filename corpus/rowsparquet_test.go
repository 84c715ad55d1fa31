package corpus

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/parquet-go/parquet-go"

	"carillon/job"
)

// fromParquet writes rows and reads them again.
func fromParquet[T any](t *testing.T, schema []T, options ...parquet.WriterOption) ([]row, []error) {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, schema, options...); err != nil {
		t.Fatal(err)
	}
	return readRecords(t, job.Dataset{Path: file(t, "x.parquet", b.String())})
}

func allFields(list []row) []map[string]any {
	var all []map[string]any
	for _, r := range list {
		all = append(all, r.fields)
	}
	return all
}

func TestParquetHoldsConversations(t *testing.T) {
	type message struct {
		Role    string  `parquet:"role"`
		Content *string `parquet:"content,optional"`
	}
	type conversation struct {
		Messages []message         `parquet:"messages,list"`
		Tags     []string          `parquet:"tags"` // repeated, without a list around it
		Source   *string           `parquet:"source,optional"`
		More     map[string]string `parquet:"more"`
	}
	text := func(s string) *string { return &s }
	got, errs := fromParquet(t, []conversation{
		{[]message{{"user", text("hi")}, {"assistant", text("ho")}}, []string{"a", "b"}, text("web"), map[string]string{"k": "v"}},
		{nil, nil, nil, nil},
		{[]message{{"user", nil}}, []string{""}, text(""), nil},
	})
	want := []map[string]any{
		{"messages": []any{map[string]any{"role": "user", "content": "hi"}, map[string]any{"role": "assistant", "content": "ho"}},
			"tags": []any{"a", "b"}, "source": "web", "more": map[string]any{"k": "v"}},
		{"messages": []any{}, "tags": []any{}, "source": nil, "more": map[string]any{}},
		{"messages": []any{map[string]any{"role": "user", "content": nil}}, "tags": []any{""}, "source": "", "more": map[string]any{}},
	}
	if errs != nil || !reflect.DeepEqual(allFields(got), want) {
		t.Errorf("got %v, errors %v; want %v", allFields(got), errs, want)
	}
	if got[2].from != "x.parquet, row 3" {
		t.Errorf("the last row is from %q", got[2].from)
	}
}

func TestParquetListsInLists(t *testing.T) {
	type pairs struct {
		History [][]string `parquet:"history,list"`
	}
	got, errs := fromParquet(t, []pairs{{[][]string{{"q", "a"}, {}, {"r"}}}, {[][]string{}}})
	want := []map[string]any{
		{"history": []any{[]any{"q", "a"}, []any{}, []any{"r"}}},
		{"history": []any{}},
	}
	if errs != nil || !reflect.DeepEqual(allFields(got), want) {
		t.Errorf("got %v, errors %v; want %v", allFields(got), errs, want)
	}
}

func TestParquetValues(t *testing.T) {
	type values struct {
		Bool   bool     `parquet:"bool"`
		Small  int8     `parquet:"small"`
		Int    int64    `parquet:"int"`
		Uint   uint32   `parquet:"uint"`
		Large  uint64   `parquet:"large"`
		Single float32  `parquet:"single"`
		Double float64  `parquet:"double"`
		Price  int64    `parquet:"price,decimal(2:18)"`
		Cents  [4]byte  `parquet:"cents,decimal(3:9)"`
		ID     [16]byte `parquet:"id,uuid"`
		Enum   string   `parquet:"enum,enum"`
		JSON   string   `parquet:"json,json"`
		Image  []byte   `parquet:"image"`
		ASCII  []byte   `parquet:"ascii"`
		Often  string   `parquet:"often,dict"`
	}
	v := values{true, -3, -1 << 60, math.MaxUint32, math.MaxUint64, 0.1, 1e300, -12345, [4]byte{0xFF, 0xFF, 0xFF, 0xFE},
		[16]byte{15: 1}, "one", `{"a":1}`, []byte{0xFF, 0xD8}, []byte("text"), "word"}
	got, errs := fromParquet(t, []values{v})
	want := map[string]any{
		"bool": true, "small": json.Number("-3"), "int": json.Number("-1152921504606846976"), "uint": json.Number("4294967295"),
		"large": json.Number("18446744073709551615"), "single": json.Number("0.1"), "double": json.Number("1e+300"),
		"price": json.Number("-123.45"), "cents": json.Number("-0.002"), "id": "00000000000000000000000000000001",
		"enum": "one", "json": `{"a":1}`, "image": []byte{0xFF, 0xD8}, "ascii": "text", "often": "word",
	}
	if errs != nil || len(got) != 1 || !reflect.DeepEqual(got[0].fields, want) {
		t.Errorf("got %v, errors %v; want %v", allFields(got), errs, want)
	}
}

func TestParquetRowsThatAreBadAlone(t *testing.T) {
	type values struct {
		Text   string  `parquet:"text"`
		Double float64 `parquet:"double"`
	}
	got, errs := fromParquet(t, []values{{"a\xff", 1}, {"b", math.NaN()}, {"c", math.Inf(-1)}, {"d", 1}})
	want := []string{`x.parquet, row 1: field "text" is not UTF-8`, `x.parquet, row 2: field "double" is NaN, want a number`, `x.parquet, row 3: field "double" is -Inf, want a number`}
	if len(got) != 1 || len(errs) != 3 {
		t.Fatalf("got %v, errors %v", got, errs)
	}
	for i, err := range errs {
		if _, ok := err.(*badRow); !ok || err.Error() != want[i] {
			t.Errorf("err = %v; want %s, bad alone", err, want[i])
		}
	}
}

// What other programs write has the same rows.
func TestParquetOfOtherPrograms(t *testing.T) {
	number := func(s string) any { return json.Number(s) }
	message := func(role, content string) any { return map[string]any{"role": role, "content": content} }
	want := []map[string]any{
		{"messages": []any{message("user", "hi, é 🙂"), message("assistant", "ho")}, "label": number("1"), "score": number("4.5"),
			"tags": []any{"a", nil, "b"}, "meta": map[string]any{"lang": "de", "n": number("3")}, "when": number("19724"),
			"price": number("1.25"), "big": "xxxxx", "cat": "p", "map": map[string]any{"k": "v"}},
		{"messages": []any{}, "label": nil, "score": nil, "tags": []any{}, "meta": nil, "when": nil,
			"price": nil, "big": nil, "cat": "q", "map": map[string]any{}},
		{"messages": nil, "label": number("-2"), "score": number("0.1"), "tags": nil, "meta": map[string]any{"lang": nil, "n": nil}, "when": number("19724"),
			"price": number("-3.00"), "big": "y", "cat": "p", "map": nil},
	}
	for _, name := range []string{"arrow", "arrow-old", "arrow-delta", "duckdb", "polars"} {
		got, errs := readRecords(t, job.Dataset{Path: filepath.Join("testdata", "parquet", name+".parquet")})
		if name == "polars" { // which has no maps
			for i := range got {
				got[i].fields["map"] = want[i]["map"]
			}
		}
		if errs != nil || !reflect.DeepEqual(allFields(got), want) {
			t.Errorf("%s: got %v, errors %v; want %v", name, allFields(got), errs, want)
		}
	}
}

// All codecs, both forms of pages, and row groups that end anywhere.
func TestParquetPages(t *testing.T) {
	var records []record
	for range 50 {
		records = append(records, tenRecords...)
	}
	for _, options := range [][]parquet.WriterOption{
		{parquet.Compression(&parquet.Snappy)}, {parquet.Compression(&parquet.Gzip)}, {parquet.Compression(&parquet.Zstd)},
		{parquet.Compression(&parquet.Brotli)}, {parquet.Compression(&parquet.Lz4Raw)}, {parquet.Compression(&parquet.Uncompressed)},
		{parquet.DataPageVersion(1)}, {parquet.DataPageVersion(2)}, {parquet.PageBufferSize(128)},
		{parquet.MaxRowsPerRowGroup(7)}, {parquet.MaxRowsPerRowGroup(64), parquet.PageBufferSize(100)},
	} {
		got, errs := fromParquet(t, records, options...)
		if errs != nil || len(got) != len(records) {
			t.Fatalf("%d records, errors %v; want %d", len(got), errs, len(records))
		}
		for i, r := range records {
			if want := map[string]any{"text": r.Text, "label": r.Label}; !reflect.DeepEqual(got[i].fields, want) {
				t.Fatalf("row %d is %v, want %v", i, got[i].fields, want)
			}
		}
	}
}

func TestBrokenParquet(t *testing.T) {
	full := maxRecord
	defer func() { maxRecord = full }()
	whole := inFormat(t, ".parquet", tenRecords)
	for at := range whole {
		data := bytes.Clone(whole)
		data[at] ^= 0x55
		for _, r := range fuzzRecords(t, "x.parquet", data, job.Dataset{}) {
			texts(t, r.fields)
		}
	}
}
