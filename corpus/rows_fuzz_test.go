package corpus

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"carillon/job"
)

// fuzzRecords reads data as a file of that name: whatever it is, there is no
// panic, errors name the file, and records come to an end.
func fuzzRecords(t *testing.T, name string, data []byte, d job.Dataset) []row {
	maxRecord = 1 << 16
	all, closer, err := recordsOf(name, bytes.NewReader(data), d)
	if err != nil {
		named(t, name, err)
		return nil
	}
	defer closer.Close()
	var list []row
	for range 2*len(data) + 1<<16 { // a packed file may hold many more
		r, err := all.next()
		var spoilt *badRow
		switch {
		case err == io.EOF:
			return list
		case err != nil:
			named(t, name, err)
			if !errors.As(err, &spoilt) {
				return list
			}
		default:
			list = append(list, r)
		}
	}
	return list
}

func named(t *testing.T, name string, err error) {
	if !strings.HasPrefix(err.Error(), name) || strings.Contains(err.Error(), "runtime error") && !strings.HasSuffix(name, "parquet") {
		t.Errorf("err = %v; want one that names %s", err, name)
	}
}

// texts makes sure that every value is UTF-8.
func texts(t *testing.T, v any) {
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			t.Errorf("%q is not UTF-8", v)
		}
	case []any:
		for _, x := range v {
			texts(t, x)
		}
	case map[string]any:
		for key, x := range v {
			texts(t, key)
			texts(t, x)
		}
	}
}

func fuzzFormat(f *testing.F, name string, seeds ...string) {
	full := maxRecord
	f.Cleanup(func() { maxRecord = full })
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, r := range fuzzRecords(t, name, data, job.Dataset{}) {
			texts(t, r.fields)
		}
	})
}

func FuzzJSONLines(f *testing.F) {
	fuzzFormat(f, "x.jsonl", string(inFormat(f, ".jsonl", tenRecords)), "{\"a\":[1,null]}\r\n\n{", "[]", `{"a":"\ud83d\ude42\udc00"}`, "\xEF\xBB\xBF{}\xff")
}

func FuzzJSONArray(f *testing.F) {
	fuzzFormat(f, "x.json", string(inFormat(f, ".json", tenRecords)), `[{"a":"]\"}"},[1],2,"x" ]`, "[", "[]x", " {}\n{}", `[{]},{"a":1}]`)
}

func FuzzCSV(f *testing.F) {
	fuzzFormat(f, "x.csv", string(inFormat(f, ".csv", tenRecords)), "a,b\n\"1\r\n\"\"\",2\n3", "a\n\"", "a,a", "\xEF\xBB\xBF\"a\"\n\xff")
}

func FuzzTSV(f *testing.F) {
	fuzzFormat(f, "x.tsv", string(inFormat(f, ".tsv", tenRecords)), "a\tb\r\n\"1\t2\n\n3", "a\ta", "\t\n\xff\t")
}

func FuzzText(f *testing.F) {
	f.Add([]byte("one\n\ntwo"), uint16(20000))
	f.Add([]byte("\n"), uint16(50000))
	f.Fuzz(func(t *testing.T, data []byte, times uint16) {
		data = bytes.Repeat(data, 1+int(times)/(1+len(data)))
		var text []byte
		for _, r := range fuzzRecords(t, "x.txt", data, job.Dataset{}) {
			text = append(text, r.fields["text"].(string)...)
		}
		if text != nil && utf8.Valid(data) && len(data) < 1<<16 && !bytes.HasSuffix(data, text) {
			t.Errorf("%d bytes of text from %d", len(text), len(data))
		}
	})
}

func FuzzParquet(f *testing.F) {
	fuzzFormat(f, "x.parquet", string(inFormat(f, ".parquet", tenRecords[:3])), "PAR1PAR1")
}

func FuzzUnpack(f *testing.F) {
	for _, name := range []string{"x.jsonl.gz", "x.jsonl.zst"} {
		f.Add(name == "x.jsonl.gz", packed(f, name, inFormat(f, ".jsonl", tenRecords)))
		f.Add(name == "x.jsonl.gz", packed(f, name, nil))
	}
	full := maxRecord
	f.Cleanup(func() { maxRecord = full })
	f.Fuzz(func(t *testing.T, gz bool, data []byte) {
		name := "x.jsonl.zst"
		if gz {
			name = "x.jsonl.gz"
		}
		fuzzRecords(t, name, data, job.Dataset{})
	})
}
