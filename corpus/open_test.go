package corpus

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon/job"
)

// folder makes a folder of files with a record each, which is the file's name,
// and returns its path.
func folder(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, packed(t, name, []byte(`{"text":"`+name+`"}`)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFilesOfADataSet(t *testing.T) {
	for _, tt := range []struct {
		files          []string
		path, dsType   string
		wantNames, err string
	}{
		{[]string{"b.jsonl", "a.jsonl"}, "b.jsonl", "", "b.jsonl", ""},
		{[]string{"[x]*.jsonl"}, "[x]*.jsonl", "", "[x]*.jsonl", ""},
		{[]string{"b.jsonl", "a.jsonl.gz", "c.csv", ".a.jsonl"}, "*.jsonl*", "", "a.jsonl.gz b.jsonl", ""},
		{[]string{"b10.jsonl", "b9.jsonl", "a.jsonl"}, "b?*.jsonl", "", "b10.jsonl b9.jsonl", ""},
		{[]string{"x/1.jsonl", "y/1.jsonl", "z/2.jsonl"}, "[xy]/*.jsonl", "", "x/1.jsonl y/1.jsonl", ""},
		{[]string{"a.jsonl"}, "*.csv", "", "", "no file matches this pattern"},
		{[]string{"a.jsonl"}, "**/*.jsonl", "", "", "** is not read: want one * for each folder on the way"},
		{[]string{"a.jsonl"}, "[a.jsonl", "", "", "syntax error in pattern"},
		{[]string{"x/a.jsonl", "b.jsonl"}, "*", "", "", "which is a folder: want one that matches files alone"},

		{[]string{"b.jsonl", "a.ndjson.gz", "sub/c.jsonl", ".d.jsonl", "README.md", "LICENSE"}, "", "", "a.ndjson.gz b.jsonl", ""},
		{[]string{"a.jsonl", "b.csv"}, "", "", "", "a folder with files of several formats, jsonl, csv: name one in ds_type, or give a pattern such as "},
		{[]string{"a.jsonl", "b.csv"}, "", "jsonl", "a.jsonl", ""},
		{[]string{"a.jsonl", "b.json", "c.csv"}, "", "json", "a.jsonl b.json", ""},
		{[]string{"a.jsonl"}, "", "csv", "", "a folder without data files: want files that end in .csv, also .gz or .zst"},
		{[]string{"README.md", "x/a.jsonl"}, "", "", "", "a folder without data files: want files that end in .csv, .json, "},
		{[]string{"train.jsonl", "dev.jsonl"}, "", "", "", "a folder with train.jsonl beside dev.jsonl, which do not belong together by their names"},
		{[]string{"train-00000-of-00002.jsonl", "train-00001-of-00002.jsonl"}, "", "", "train-00000-of-00002.jsonl train-00001-of-00002.jsonl", ""},
		{[]string{"train-00000-of-00001.jsonl", "validation-00000-of-00001.jsonl"}, "", "", "", "test_datasets"},
		{[]string{"test.jsonl", "test_2.jsonl"}, "", "", "test.jsonl test_2.jsonl", ""},
		{[]string{"a.jsonl"}, "a.jsonl", "arrow", "", `ds_type "arrow": want json, jsonl, csv, tsv, parquet, text`},
		{[]string{"a.arrow"}, "a.arrow", "", "", "a.arrow: .arrow files are not read"},
	} {
		root := folder(t, tt.files...)
		got, errs := readRecords(t, job.Dataset{Path: filepath.Join(root, tt.path), DsType: tt.dsType})
		var names []string
		for _, r := range got {
			names = append(names, r.fields["text"].(string))
			if !strings.HasPrefix(r.from, r.fields["text"].(string)+":") {
				t.Errorf("%v: %q is said to be from %s", tt.files, r.fields["text"], r.from)
			}
		}
		if names := strings.Join(names, " "); names != tt.wantNames || tt.err == "" && errs != nil {
			t.Errorf("%v, path %q: files %s, errors %v; want %s", tt.files, tt.path, names, errs, tt.wantNames)
		}
		if tt.err != "" && (len(errs) != 1 || !strings.Contains(errs[0].Error(), tt.err)) {
			t.Errorf("%v, path %q: errors %v; want %s", tt.files, tt.path, errs, tt.err)
		}
	}
}

func TestPathsThatAreNoFiles(t *testing.T) {
	for _, tt := range []struct {
		path, want string
		missing    bool
	}{
		{"s3://bucket/x.jsonl", "s3:// comes with S3 stores and is not read yet: copy the files here and give their path", false},
		{"hf://datasets/user/name", "hf:// is not read, since nothing is downloaded from the hub yet: download the data set, such as with hf download", false},
		{"https://example.com/x.jsonl", "https:// is not read: download the file and give its path", false},
		{"file:///x.jsonl", "file:// is not needed: give the path alone", false},
		{"ftp://x/y", "ftp:// is not known: want a file, a folder or a pattern such as data/*.jsonl", false},
		{"user/name", "no such file or directory; a data set of the hub is not fetched by its name yet: download the data set", true},
		{"squad", "no such file or directory; a data set of the hub is not fetched by its name yet", true},
		{"none/x.jsonl", "no such file or directory", true},
		{"./none", "no such file or directory", true},
		{"a/b/c", "no such file or directory", true},
	} {
		_, errs := readRecords(t, job.Dataset{Path: tt.path})
		if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), tt.want) || errors.Is(errs[0], fs.ErrNotExist) != tt.missing {
			t.Errorf("%s: errors %v; want %s", tt.path, errs, tt.want)
		}
	}
}

// A record is reported once, whatever file it is in, and a broken file ends the
// reading of those after it.
func TestFilesAreReadInOrderUntilOneIsBroken(t *testing.T) {
	root := folder(t, "a.jsonl", "b.jsonl", "c.jsonl")
	if err := os.WriteFile(filepath.Join(root, "b.jsonl"), []byte("\xff\xfe"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, errs := readRecords(t, job.Dataset{Path: root})
	if len(got) != 1 || len(errs) != 1 || errs[0].Error() != "b.jsonl:1: UTF-16: want UTF-8" {
		t.Errorf("records %v, errors %v; want that of a.jsonl and the error of b.jsonl", got, errs)
	}
}

func TestAFileThatMayNotBeRead(t *testing.T) {
	root := folder(t, "a.jsonl")
	if err := os.Chmod(filepath.Join(root, "a.jsonl"), 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		t.Skip("root may read every file")
	}
	if _, errs := readRecords(t, job.Dataset{Path: root}); len(errs) != 1 || !errors.Is(errs[0], fs.ErrPermission) {
		t.Errorf("errors %v; want one about permission", errs)
	}
}
