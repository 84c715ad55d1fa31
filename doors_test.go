package carillon_test

import (
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The packages that may import each dependency. The reason is printed on failure.
var doors = []struct {
	module, allowed, why string
}{
	{"github.com/gomlx/", "backend model model/nn model/gpt2 model/bert model/llama model/t5 methods", "everything else sees numbers as []float32, names and shapes"},
	{"github.com/hashicorp/raft", "ledger", "nodes must run without a log of their own"},
	{"github.com/nats-io/", "wire", "the rest speaks in rosters and beats, not in subjects"},
	{"github.com/minio/", "objstore/s3", "checkpoints must save to memory and to disk too"},
	{"github.com/aws/", "spot", "a cloud is only listened to; credentials and buckets are objstore/s3's"},
	{"cloud.google.com/", "spot", "a cloud is only listened to"},
	{"github.com/parquet-go/", "corpus", "one place knows what users' files look like"},
	{"github.com/klauspost/compress", "corpus", "one place knows what users' files look like"},
	{"carillon/corpus/jinja", "corpus", "a template is a program that somebody else wrote; one place gives it to run"},
}

// What carries state from one call to the next cannot be part of a step that
// has to be done again, with the same bits, elsewhere.
var forbidden = []struct {
	pkg, why string
}{
	{"github.com/gomlx/gomlx/ml/layers", "its Dropout and initializers carry random state; see package job's mixer"},
	{"github.com/gomlx/gomlx/ml/train", "its optimizers and loops live on the device; ours are bits on the host"},
	{"math/rand", "random numbers come from package job's mixer"},
	{"math/rand/v2", "random numbers come from package job's mixer"},
}

// randomAllowed may use math/rand for what never touches a job's bits.
var randomAllowed = []string{"job"}

func TestDoors(t *testing.T) {
	for pkg, imports := range importsOf(t) {
		for _, d := range doors {
			if i := slices.IndexFunc(imports, func(i string) bool { return strings.HasPrefix(i, d.module) }); i >= 0 && !slices.Contains(strings.Fields(d.allowed), pkg) {
				t.Errorf("%s imports %s, which only %s may: %s", pkg, imports[i], d.allowed, d.why)
			}
		}
		for _, f := range forbidden {
			if slices.Contains(imports, f.pkg) && !slices.Contains(randomAllowed, pkg) {
				t.Errorf("%s imports %s: %s", pkg, f.pkg, f.why)
			}
		}
	}
}

// importsOf lists each package of this module, relative to its root, with what
// it imports itself.
func importsOf(t *testing.T) map[string][]string {
	t.Helper()
	look(t)
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		pkg, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		imports[strings.TrimPrefix(strings.TrimPrefix(pkg, "carillon"), "/")] = strings.Fields(rest)
	}
	if len(imports) < 5 {
		t.Fatalf("go list names %d packages only:\n%s", len(imports), out)
	}
	return imports
}

// look opens each folder itself: go test keeps a result for as long as what the test has
// opened does not change, and does not know what go list has read.
func look(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (path == ".git" || path == "out") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
