package export

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/safetensors"
)

// beginnings are directories of other libraries, and the names of what a job of the
// same method trains.
func beginningOf(t *testing.T, dir string) (spec job.Spec, trainables []checkpoint.Param) {
	t.Helper()
	info, tensors, err := Open("testdata/" + dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tensors {
		trainables = append(trainables, checkpoint.Param{Name: x.Name, Shape: x.Shape})
	}
	spec = info.Spec
	spec.InitFrom = "testdata/" + dir
	return spec, trainables
}

// Whatever library wrote an adapter, a job that goes on from it begins as it; its own
// export of that would have the same hash, where it is one file.
func TestAJobBeginsAsAnAdapter(t *testing.T) {
	for _, dir := range []string{"lora-gpt2", "dora-llama", "lora-bert-cls", "lora-roberta-cls", "ia3-t5", "prompt-t5", "prefix-bert-cls", "prefix-projection-gpt2", "double_seq_bn-bert-cls", "cross-t5"} {
		t.Run(dir, func(t *testing.T) {
			spec, trainables := beginningOf(t, dir)
			b, err := Begin(spec, [32]byte{}, trainables)
			if err != nil || b.Note != "" {
				t.Fatal(err, b.Note)
			}
			file, err := safetensors.Decode([]byte(b.File))
			if err != nil {
				t.Fatal(err)
			}
			_, tensors, _ := Open(spec.InitFrom)
			slices.SortFunc(tensors, func(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) })
			for i, x := range tensors {
				if file[i].Name != x.Name || !slices.Equal(file[i].Data, x.Data) {
					t.Errorf("tensor %s is not that of the file", x.Name)
				}
			}
			sum, err := writeWeights(t.TempDir()+"/w", safetensors.F32, tensors)
			if err != nil || sum != b.SHA256 {
				t.Errorf("SHA-256 %s, of an export %s, %v", b.SHA256, sum, err)
			}
		})
	}
}

// The section that a recipe leaves out is the adapter's.
func TestASectionIsAdopted(t *testing.T) {
	got, err := Adopt(job.Spec{Method: "lora", InitFrom: "testdata/lora-pattern-llama"})
	if err != nil || got.LoRA == nil || len(got.LoRA.RankPattern) == 0 {
		t.Errorf("section %+v, %v", got.LoRA, err)
	}
	if got, err := Adopt(job.Spec{Method: "lora"}); err != nil || got.LoRA != nil {
		t.Errorf("without an adapter: %+v, %v", got.LoRA, err)
	}
	if _, err := Adopt(job.Spec{Method: "prefix", InitFrom: "testdata/prompt-gpt2"}); err == nil || !strings.Contains(err.Error(), "is an adapter of method prompt; want method: prompt, not prefix") {
		t.Error(err)
	}
}

// A head for other classes, or none, is no fault: a task that is like another begins
// where that ended, with a head of its own.
func TestAHeadForOtherClassesBeginsAnew(t *testing.T) {
	spec, trainables := beginningOf(t, "lora-roberta-cls")
	head, rest := apart(trainables, func(p checkpoint.Param) string { return p.Name })
	if len(head) != 4 {
		t.Fatalf("the head has %d tensors", len(head))
	}
	for name, change := range map[string]func() []checkpoint.Param{
		"other labels": func() []checkpoint.Param {
			spec.Labels = append(slices.Clone(spec.Labels), "one more")
			wider := slices.Clone(trainables)
			for i, p := range wider {
				if strings.Contains(p.Name, "out_proj") {
					wider[i].Shape = append([]int{p.Shape[0] + 1}, p.Shape[1:]...)
				}
			}
			return wider
		},
		"no head": func() []checkpoint.Param { return rest },
	} {
		b, err := Begin(spec, [32]byte{}, change())
		if err != nil || !strings.Contains(b.Note, "head") {
			t.Errorf("%s: %v, note %q", name, err, b.Note)
			continue
		}
		file, err := safetensors.Decode([]byte(b.File))
		if err != nil || len(file) != len(rest) {
			t.Errorf("%s: %d tensors, %v; want %d without the head", name, len(file), err, len(rest))
		}
	}
}

func TestLabelsOfAHead(t *testing.T) {
	for _, tt := range []struct {
		theirs, ours []string
		want         bool
	}{
		{nil, nil, true}, // a regression's
		{[]string{"LABEL_0", "LABEL_1"}, []string{"no", "yes"}, true},
		{[]string{"no", "yes"}, []string{"no", "yes"}, true},
		{[]string{"yes", "no"}, []string{"no", "yes"}, false},
		{[]string{"LABEL_0"}, []string{"no", "yes"}, false},
	} {
		if got := sameLabels(tt.theirs, tt.ours); got != tt.want {
			t.Errorf("%q for %q: %v", tt.theirs, tt.ours, got)
		}
	}
}

// What does not fit the job, or would be computed otherwise, is refused by name.
func TestBeginningsThatDoNotFit(t *testing.T) {
	yes := true
	for name, tt := range map[string]struct {
		dir    string
		change func(*job.Spec, []checkpoint.Param) []checkpoint.Param
		want   string
	}{
		"another base": {"lora-gpt2", func(s *job.Spec, p []checkpoint.Param) []checkpoint.Param {
			s.BaseModel, p[0].Shape = "other", []int{8, 64}
			return p
		}, "want [8 64]"},
		"fewer layers": {"seq_bn-llama", func(_ *job.Spec, p []checkpoint.Param) []checkpoint.Param { return p[1:] }, "is not trained by the job"},
		"more layers": {"prompt-gpt2", func(_ *job.Spec, p []checkpoint.Param) []checkpoint.Param {
			return append(p, checkpoint.Param{Name: "x", Shape: []int{1}})
		}, "x is missing"},
		"another scale": {"lora-gpt2", func(s *job.Spec, p []checkpoint.Param) []checkpoint.Param {
			l := *s.LoRA
			l.LoraAlpha *= 2
			s.LoRA = &l
			return p
		}, "leave the section out to take the adapter's"},
		"another formula": {"seq_bn-gpt2", func(s *job.Spec, p []checkpoint.Param) []checkpoint.Param {
			s.Bottleneck.NonLinearity = "tanh"
			return p
		}, `non_linearity is "relu" in it, and "tanh" by`},
		"a norm where there was none": {"double_seq_bn-gpt2", func(s *job.Spec, p []checkpoint.Param) []checkpoint.Param {
			s.Bottleneck.OriginalLNBefore = &yes
			return p
		}, "original_ln_before is false in it, and true by"},
		"a network": {"prefix-gpt2", func(s *job.Spec, p []checkpoint.Param) []checkpoint.Param {
			s.Prefix.PrefixProjection = true
			return p
		}, "leave prefix.prefix_projection out"},
		"another hash": {"ia3-gpt2", func(s *job.Spec, p []checkpoint.Param) []checkpoint.Param {
			s.InitSHA256 = strings.Repeat("0", 64)
			return p
		}, "and init_sha256 is 000"},
	} {
		spec, trainables := beginningOf(t, tt.dir)
		trainables = tt.change(&spec, trainables)
		if _, err := Begin(spec, [32]byte{}, trainables); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "init_from: testdata/"+tt.dir+": ") {
			t.Errorf("%s: %v; want %s", name, err, tt.want)
		}
	}
}

// Weights that are no numbers, or none at all, are refused by name where they are read.
func TestWeightsThatAreNoNumbersAreRefused(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if !endless(float32(x)) {
			t.Errorf("%v is taken", x)
		}
	}
	if endless(math.MaxFloat32) || endless(0) {
		t.Error("a number is refused")
	}
	config, err := os.ReadFile("testdata/lora-gpt2-cls/" + adapterConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	const head = "base_model.model.score.weight"
	for _, tt := range []struct{ header, data, want string }{
		{`{"` + head + `":{"dtype":"F32","shape":[281474976710656,0],"data_offsets":[0,0]}}`, "", `tensor "` + head + `" has shape [281474976710656 0], which is of no number`},
		{`{"` + head + `":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, "\x00\x00\x80\x3f", `has shape []; want one row for each label`},
		{`{"` + head + `":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "\x00\x00\xc0\x7f", `tensor "` + head + `": element 0 is NaN; want a finite number`},
		{`{"` + head + `":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}`, "\x00\x00\x00\x00", "is of type I32"},
	} {
		dir := t.TempDir()
		file := string(binary.LittleEndian.AppendUint64(nil, uint64(len(tt.header)))) + tt.header + tt.data
		for name, text := range map[string]string{adapterConfigFile: string(config), adapterWeightsFile: file} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := Open(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %s", tt.header, err, tt.want)
		}
	}
}
