package corpus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"carillon/job"
)

// What is wrong with a file is said in one line that names file, line and what
// would be right, and said to be bad alone or to end the reading.
func TestBadFiles(t *testing.T) {
	fine := `{"a":"b"}` + "\n"
	parquet := string(inFormat(t, ".parquet", tenRecords))
	cut := func(name, text string) string {
		data := packed(t, name, []byte(text))
		return string(data[:len(data)-5])
	}
	for _, tt := range []struct {
		name, text string
		alone      bool // bad alone: what comes after is read
		want       string
	}{
		{"x.jsonl", "", false, "x.jsonl: empty: no examples in it"},
		{"x.json", " \n", false, "x.json: empty: no examples in it"},
		{"x.csv", "\n\n", false, "x.csv: empty: no examples in it"},
		{"x.tsv", "\n", false, "x.tsv: empty: no examples in it"},
		{"x.parquet", "", false, "x.parquet: empty: no examples in it"},
		{"x.txt", "\xEF\xBB\xBF", false, ""},
		{"x.txt", "", false, "x.txt: empty: no examples in it"},

		{"x.jsonl", strings.Repeat(fine, 48212) + `{"a":"b"` + "\n" + fine, true, `x.jsonl:48213: broken JSON: it ends in the middle, after byte 8: want one JSON object a line`},
		{"x.jsonl", `{"a":b}` + "\n" + fine, true, `x.jsonl:1: broken JSON at byte 6: invalid character 'b' looking for beginning of value: want one JSON object a line`},
		{"x.jsonl", `{"a":1}{"a":2}` + "\n" + fine, true, `x.jsonl:1: '{' after the end of the object, at byte 8: want one JSON object a line`},
		{"x.jsonl", `[1]` + "\n" + fine, true, `x.jsonl:1: a list instead of an object: want one JSON object a line`},
		{"x.jsonl", `null` + "\n" + fine, true, `x.jsonl:1: null instead of an object: want one JSON object a line`},
		{"x.jsonl", "{\"a\":\"\xff\"}\n" + fine, true, `x.jsonl:1: not UTF-8, from byte 7 of the line on: want UTF-8`},
		{"x.jsonl", `{"a":"\\\ud83dx"}` + "\n" + fine, true, `x.jsonl:1: half a character, \ud83d, at byte 9: want one JSON object a line`},
		{"x.jsonl", `{"a":"\ude42\ud83d"}` + "\n" + fine, true, `x.jsonl:1: half a character, \ude42, at byte 7: want one JSON object a line`},
		{"x.jsonl", "\xff\xfe{\x00", false, `x.jsonl:1: UTF-16: want UTF-8`},
		{"x.csv", "\xfe\xff\x00a", false, `x.csv:1: UTF-16: want UTF-8`},
		{"x.tsv", "a\x00b\x00", false, `x.tsv:1: a zero byte: UTF-16, or no text: want UTF-8`},

		{"x.json", "{\n\"a\":1}", true, `x.json:1: broken JSON: it ends in the middle, after byte 1: want an array of objects, or one object a line`},
		{"x.json", "[\n{\"a\":1},\n{\"a\":\n2,},\n{\"a\":3}]", true, `x.json, element 2 (line 3): broken JSON at byte 9: invalid character '}' looking for beginning of object key string: want an array of objects`},
		{"x.json", `[{"a":1},"b,]",{"a":3}]`, true, `x.json, element 2 (line 1): a string instead of an object: want an array of objects`},
		{"x.json", `[{"a":1},12,{"a":3}]`, true, `x.json, element 2 (line 1): the number 12 instead of an object: want an array of objects`},
		{"x.json", "[{\"a\":\"\n\xff\"},{\"a\":3}]", true, `x.json, element 1 (line 1): not UTF-8, on line 2: want UTF-8`},
		{"x.json", "[{\"a\":1}\n{\"a\":2}]", false, `x.json:2: broken JSON: '{' after element 1: want a comma or the end of the array`},
		{"x.json", `[{"a":1},]`, false, `x.json:1: broken JSON: ']' after a comma: want an object`},
		{"x.json", "[{\"a\":1},\n{\"a\":\"2}]", false, `x.json:2: cut short: the file ends within element 2, which begins on line 2`},
		{"x.json", "[{\"a\":1}\n", false, `x.json:2: cut short: the file ends within its array, after element 1`},
		{"x.json", `[{"a":1}] {"a":2}`, false, `x.json:1: '{' after the end of the array`},

		{"x.csv", "a,b\n1,2\n\"3\"x,4\n", false, `x.csv:3: a stray quote at column 3: want a cell with quotes in quotes, and those within it doubled; or ds_type: tsv where cells have none`},
		{"x.csv", "a,b\n1,2\n3 \"x\",4\n", false, `x.csv:3: a stray quote at column 3: want a cell with quotes in quotes, and those within it doubled; or ds_type: tsv where cells have none`},
		{"x.csv", "a,b\n1,\"2\n3,4\n5,6\n", false, `x.csv:4: a quote that is opened in the record from line 2 on is not closed as it should be, at column 5`},
		{"x.csv", "a,b\n1\n3,4\n", true, `x.csv:2: 1 cell, want 2 (a, b)`},
		{"x.csv", "a,b\n1,2,3\n3,4\n", true, `x.csv:2: 3 cells, want 2 (a, b)`},
		{"x.csv", "a,b\n1,2\na,b\n3,4\n", true, `x.csv:3: the names of the columns where a record belongs (columns in the recipe is for files without such a line)`},
		{"x.csv", "a,b\n1,\"\n\xff\"\n3,4\n", true, `x.csv:2: not UTF-8, in the cell of column 2, which begins on line 2: want UTF-8`},
		{"x.csv", "a,b,a\n", false, `x.csv:1: columns 1 and 3 are both named "a": want names that differ`},
		{"x.csv", "\xff,b\n1,2", false, `x.csv:1: the names of the columns: not UTF-8, in the cell of column 1, which begins on line 1: want UTF-8`},
		{"x.csv", "a;b\n1;2\n", false, `x.csv:1: one column, named "a;b": want commas between columns, or ds_type: tsv where they are tabs`},
		{"x.tsv", "a\tb\n1\n3\t4\n", true, `x.tsv:2: 1 cell, want 2 (a, b)`},
		{"x.tsv", "a\ta\n", false, `x.tsv:1: columns 1 and 2 are both named "a": want names that differ`},
		{"x.txt", "a\nb\xff\n", false, `x.txt:2: not UTF-8: want UTF-8`},

		{"x.parquet", parquet[:len(parquet)-1], false, `x.parquet: cut short: a Parquet file ends with its index and PAR1, this one after`},
		{"x.parquet", "PAR1", false, `x.parquet: cut short: a Parquet file ends with its index and PAR1, this one after 4 bytes without them`},
		{"x.parquet", "a,b\n1,2", false, `x.parquet: no Parquet file: it begins with 61 2c 62 0a, want PAR1`},
		{"x.parquet", "PARE" + parquet[4:], false, `x.parquet: an encrypted Parquet file, which is not read`},
		{"x.parquet", "PAR1" + strings.Repeat("\xff", 60) + "\x3c\x00\x00\x00PAR1", false, `x.parquet: broken Parquet: `},
		{"x.csv", parquet, false, `x.csv:1: a Parquet file: want a name that ends in .parquet, or ds_type: parquet`},

		{"x.jsonl.gz", fine, false, `x.jsonl.gz: is not packed with gzip, as its name says: it begins with 7b 22 61 22`},
		{"x.jsonl.zst", string(packed(t, "x.gz", []byte(fine))), false, `x.jsonl.zst: is not packed with zstd, as its name says: it begins with 1f 8b 08 00`},
		{"x.jsonl", string(packed(t, "x.gz", []byte(fine))), false, `x.jsonl: is packed with gzip: want a name that says so, x.jsonl.gz`},
		{"x.txt", string(packed(t, "x.zst", []byte(fine))), false, `x.txt: is packed with zstd: want a name that says so, x.txt.zst`},
		{"x.jsonl.gz", "", false, `x.jsonl.gz: empty, not even packed with gzip`},
		{"x.jsonl.gz", string(packed(t, "x.gz", nil)), false, `x.jsonl.gz: empty: no examples in it`},
		{"x.jsonl.gz", cut("x.gz", fine), false, `x.jsonl.gz: cut short: the gzip data stops in the middle (unexpected EOF)`},
		{"x.csv.zst", cut("x.zst", "a\n1\n"), false, `x.csv.zst: cut short: the zstd data stops in the middle (unexpected EOF)`},
		{"x.json.gz", cut("x.gz", "[{}]"), false, `x.json.gz: cut short: the gzip data stops in the middle (unexpected EOF)`},
		{"x.tsv.gz", cut("x.gz", "a\n1\n"), false, `x.tsv.gz: cut short: the gzip data stops in the middle (unexpected EOF)`},
		{"x.txt.zst", cut("x.zst", "a\n1\n"), false, `x.txt.zst: cut short: the zstd data stops in the middle (unexpected EOF)`},
		{"x.parquet.gz", cut("x.gz", parquet), false, `x.parquet.gz: cut short: the gzip data stops in the middle (unexpected EOF)`},
		{"x.jsonl.gz", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff", false, `x.jsonl.gz: broken gzip data: flate: `},

		{"x.xlsx", "PK", false, `x.xlsx: .xlsx files are not read: want .csv, .json, .jsonl, .ndjson, .parquet, .text, .tsv, .txt, also .gz or .zst; or say in ds_type what it is`},
		{"x.tar.gz", "\x1f\x8b", false, `x.tar.gz: .tar files are not read`},
	} {
		got, errs := readRecords(t, job.Dataset{Path: file(t, tt.name, tt.text)})
		var spoilt *badRow
		switch {
		case tt.want == "" && errs == nil:
		case len(errs) == 0 || !strings.HasPrefix(errs[0].Error(), tt.want):
			t.Errorf("%s %.60q: errors %v; want %s", tt.name, tt.text, errs, tt.want)
		case errors.As(errs[0], &spoilt) != tt.alone:
			t.Errorf("%s %.60q: %v: bad alone %v, want %v", tt.name, tt.text, errs[0], !tt.alone, tt.alone)
		case tt.alone && len(got) == 0 && len(errs) == 1:
			t.Errorf("%s %.60q: nothing is read after what is bad alone", tt.name, tt.text)
		case !tt.alone && len(errs) != 1:
			t.Errorf("%s %.60q: errors %v after what ends the reading", tt.name, tt.text, errs[1:])
		}
	}
}

// bigFile is a zstd file of a few bytes that unpack to text, a run of bytes
// longer than a record may be, and more text.
func bigFile(t *testing.T, name, before, after string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte("a"), 1<<20)
	io.WriteString(w, before)
	for range maxRecord/len(block) + 1 {
		w.Write(block)
	}
	io.WriteString(w, after)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file(t, name, b.String())
}

func TestALineWithoutEnd(t *testing.T) {
	full := maxRecord
	defer func() { maxRecord = full }()
	maxRecord = 2 << 20
	for _, tt := range []struct {
		name, before, after, want string
		records                   int
	}{
		{"x.jsonl.zst", `{"text":"`, "\"}\n{\"text\":\"b\"}\n", "x.jsonl.zst:1: a line of more than 2 MiB, the most that is read", 1},
		{"x.json.zst", "[\n{\"text\":\"", `"},{"text":"b"}]`, "x.json.zst, element 1 (line 2): an element of more than 2 MiB, the most that is read", 1},
		{"x.csv.zst", "text\nb\n", "\nb\n", "x.csv.zst:2: a record that begins after this line has more than 2 MiB, the most that is read", 1},
		{"x.tsv.zst", "text\nb\n", "\nb\n", "x.tsv.zst:3: a line of more than 2 MiB, the most that is read", 2},
		{"x.txt.zst", "text\n\n", "\nb\n", "x.txt.zst:3: a line of more than 2 MiB, the most that is read", 1},
	} {
		got, errs := readRecords(t, job.Dataset{Path: bigFile(t, tt.name, tt.before, tt.after)})
		if len(errs) != 1 || errs[0].Error() != tt.want || len(got) != tt.records {
			t.Errorf("%s: %d records, errors %v; want %d and %s", tt.name, len(got), errs, tt.records, tt.want)
		}
	}
}

func TestReadingStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	path := file(t, "x.jsonl", strings.Repeat("{}\n", 10))
	n := 0
	for _, err := range rows(ctx, job.Dataset{Path: path}) {
		if n++; n == 3 {
			cancel()
		}
		if n > 4 || n == 4 && !errors.Is(err, context.Canceled) {
			t.Fatalf("record %d after the context's end: err = %v", n, err)
		}
	}
	if n != 4 {
		t.Errorf("%d records, want 3 and the context's error", n)
	}
}
