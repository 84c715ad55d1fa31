package launch

import (
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
