package launch

import (
	"os"
	"slices"
	"strings"
	"testing"

	"carillon/backend"
	"carillon/model"
)

func TestNodesThatTrainMuchKeepTheirMemory(t *testing.T) {
	t.Setenv("GLIBC_TUNABLES", "")
	for _, tt := range []struct {
		kind    string
		trained int
		kept    bool
	}{
		{backend.CPU, 22_713_986, true},
		{backend.CPU, 74_498, false}, // compiling faster is worth more
		{backend.Go, 22_713_986, false},
		{backend.CUDA, 22_713_986, false},
	} {
		r := run{Config: Config{Kind: tt.kind}, base: model.Facts{TrainableSize: tt.trained}}
		if env := r.nodeEnv(); (len(env) > 0) != tt.kept {
			t.Errorf("%s, %d trained: %q in a node's environment", tt.kind, tt.trained, env)
		}
	}
}

func TestAChildHasWhatIsAddedToTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CARILLON_TEST_MINE", "1")
	p, err := start("x", []string{"env"}, []string{"CARILLON_TEST_ADDED=2"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	out, err := os.ReadFile(p.log)
	for _, want := range []string{"CARILLON_TEST_MINE=1", "CARILLON_TEST_ADDED=2"} {
		if err != nil || !slices.Contains(strings.Split(string(out), "\n"), want) {
			t.Errorf("%s is not in its environment (%v):\n%s", want, err, out)
		}
	}
}
