package export

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"carillon/job"
	"carillon/methods"
	"carillon/safetensors"
)

// hubOf is the adapter of one of the fixtures' directories.
func hubOf(t *testing.T, dir string) AdapterInfo {
	t.Helper()
	kind, model, _ := strings.Cut(dir, "-")
	info := modelOf(t, model)
	info.Spec.Method, info.Spec.Bottleneck = "adapter", &job.Bottleneck{Architecture: kind, ReductionFactor: 4}
	if kind == "cross" {
		info.Spec.Bottleneck.Architecture, info.Spec.Bottleneck.CrossAdapter = "double_seq_bn", true
	}
	return info
}

var hubDirs = []string{
	"seq_bn-gpt2", "seq_bn-llama", "seq_bn-bert-cls", "double_seq_bn-gpt2", "double_seq_bn-bert-cls", "double_seq_bn-t5",
	"par_bn-gpt2", "par_bn-bert-cls", "cross-t5",
}

// adapters 1.3.0 wrote the fixtures; ours have its tensors and configuration under
// another name. Only a head that was trained is written.
func TestBottlenecksAreWhatAdapterHubWrites(t *testing.T) {
	for _, dir := range hubDirs {
		t.Run(dir, func(t *testing.T) {
			theirs, out := filepath.Join("testdata", dir), filepath.Join(t.TempDir(), "adapter")
			read, tensors, err := Open(theirs)
			if err != nil {
				t.Fatal(err)
			}
			info := hubOf(t, dir)
			if _, err := Adapter(out, info, tensors); err != nil {
				t.Fatal(err)
			}
			again, back, err := Open(out)
			if err != nil || !reflect.DeepEqual(back, tensors) || !reflect.DeepEqual(again, read) {
				t.Errorf("what is read back is not what was written (%v)", err)
			}
			if !reflect.DeepEqual(read.Spec.Labels, info.Spec.Labels) || read.Spec.TaskType != info.Spec.TaskType || read.Base != info.Base {
				t.Errorf("read as %+v", read.Spec)
			}
			checkHub(t, out, theirs)
		})
	}
}

// checkHub compares an AdapterHub directory of ours with one of theirs.
func checkHub(t *testing.T, ours, theirs string) {
	t.Helper()
	files := []string{hubWeightsFile}
	if strings.HasSuffix(theirs, "-cls") {
		files = append(files, hubHeadFile)
	}
	for _, file := range files {
		want := keysIn(t, filepath.Join(theirs, file))
		for i := range want {
			want[i] = strings.Replace(want[i], ".demo.", "."+hubName+".", 1)
		}
		if got := keysIn(t, filepath.Join(ours, file)); !slices.Equal(got, want) {
			t.Errorf("%s has\n%q, want\n%q", file, got, want)
		}
		config := map[string]string{hubWeightsFile: adapterConfigFile, hubHeadFile: hubHeadConfigFile}[file]
		mine, hub := keysOf(t, filepath.Join(ours, config)), keysOf(t, filepath.Join(theirs, config))
		if file == hubWeightsFile {
			hub["name"] = hubName
		}
		if !reflect.DeepEqual(mine, hub) {
			t.Errorf("%s is\n%v, want\n%v", config, mine, hub)
		}
	}
	if got := namesIn(t, ours); len(got) != 2*len(files) {
		t.Errorf("files %q", got)
	}
}

func keysIn(t *testing.T, path string) (keys []string) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, info := range f.Tensors() {
		keys = append(keys, info.Name)
	}
	return slices.Sorted(slices.Values(keys))
}

// AdapterHub tells a number with a point from one without.
func TestScalingsAreWrittenWithAPoint(t *testing.T) {
	out := filepath.Join(t.TempDir(), "adapter")
	if _, err := Adapter(out, hubOf(t, "seq_bn-gpt2"), tensorsIn(t, "testdata/seq_bn-gpt2")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(out, adapterConfigFile))
	if err != nil || !strings.Contains(string(data), `"scaling": 1.0,`) {
		t.Errorf("%s (%v) has no scaling of 1.0", data, err)
	}
}

// Every section that a recipe can have comes back from the directory.
func TestBottlenecksAreReadAsTheyWereWritten(t *testing.T) {
	if hubName != methods.AdapterName {
		t.Fatalf("adapters are called %s here and %s where they are trained", hubName, methods.AdapterName)
	}
	no, yes := false, true
	for _, b := range []job.Bottleneck{
		{Architecture: "seq_bn", ReductionFactor: 4, ReductionFactors: map[string]float64{"0": 8}, NonLinearity: "tanh", LearnScaling: "learned", OriginalLNBefore: &yes, ResidualBeforeLN: &no, LeaveOut: []int{}},
		{Architecture: "double_seq_bn", ReductionFactor: 2.5, NonLinearity: "gelu", LearnScaling: "channel", LNBefore: true, LNAfter: true, OriginalLNBefore: &no, ResidualBeforeLN: &yes, LeaveOut: []int{0, 3}, CrossAdapter: true},
		{Architecture: "par_bn", ReductionFactor: 2, NonLinearity: "relu", Scaling: 0.5, OriginalLNBefore: &no, ResidualBeforeLN: &yes, LeaveOut: []int{}},
	} {
		text, err := sorted(hubConfig{Config: bottleneckOf(b, 32), Name: new(string)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.Replace(string(text), `"name": ""`, `"name": "x"`, 1))
		if _, info, err := parseHub(text); err != nil || !reflect.DeepEqual(*info.Spec.Bottleneck, b) {
			t.Errorf("read %+v (%v), want %+v", info.Spec.Bottleneck, err, b)
		}
	}
}

func TestASizeIsSaidByAFactor(t *testing.T) {
	for _, width := range []int{32, 384, 768} {
		for size := 1; size <= width; size++ {
			if got := int(float64(width) / narrowing(width, size)); got != size {
				t.Fatalf("width %d by the factor for %d is %d", width, size, got)
			}
		}
	}
}

// Models without a head, and AdapterHub's own classes, begin their keys otherwise.
func TestKeysAreFoundWhateverTheyBeginWith(t *testing.T) {
	for _, tt := range []struct{ kind, key, want string }{
		{"bert", "encoder.layer.0.output", "bert.encoder.layer.0.output"},
		{"bert", "bert.encoder.layer.0.output", "bert.encoder.layer.0.output"},
		{"gpt2", "h.0.output_adapters", "transformer.h.0.output_adapters"},
		{"distilbert", "transformer.layer.0.output_adapters", "distilbert.transformer.layer.0.output_adapters"},
		{"t5", "transformer.encoder.block.0.layer.0", "encoder.block.0.layer.0"},
		{"t5", "encoder.block.0.layer.0", "encoder.block.0.layer.0"},
	} {
		name := "demo"
		c := hubConfig{ModelType: tt.kind, Name: &name, Config: &bottleneckConfig{LNBefore: true}}
		got, err := renamed([]safetensors.Tensor{
			{Name: tt.key + ".adapters.demo.adapter_norm_before.weight"}, {Name: tt.key + ".adapters.demo.adapter_down.0.weight"},
		}, c)
		if err != nil || len(got) != 1 || got[0].Name != tt.want+".adapters."+hubName+".adapter_norm_before.weight" {
			t.Errorf("%s of %s: %v, %v", tt.key, tt.kind, got, err)
		}
	}
}

func TestBottlenecksThatAreNotBuiltAreRefusedByKey(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		{`"use_gating": false`, `"use_gating": true`, "use_gating"},
		{`"phm_layer": false`, `"phm_layer": true`, "phm_layer"},
		{`"inv_adapter": null`, `"inv_adapter": "nice"`, "inv_adapter"},
		{`"dropout": 0.0`, `"dropout": 0.1`, "dropout"},
		{`"output_adapter": true`, `"output_adapter": false`, "output_adapter"},
		{`"original_ln_after": true`, `"original_ln_after": false`, "original_ln_after"},
		{`"reduction_factor": 4`, `"reduction_factor": 0`, "reduction_factor"},
		{`"reduction_factor": 4`, `"reduction_factor": 4, "architecture": "lora"`, "architecture"},
		{`"reduction_factor": 4`, `"reduction_factor": 4, "sideways": true`, "sideways"},
		{`"scaling": 1.0`, `"scaling": []`, adapterConfigFile},
		{`"model_type": "gpt2"`, `"model_type": "xlnet"`, "model_type"},
		{`"name": "demo"`, `"name": "other"`, "adapter other"},
		{`"name": "demo"`, `"name": null`, "name is missing"},
	} {
		dir := change(t, "seq_bn-gpt2", tt.old, tt.new)
		if _, _, err := Open(dir); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want an error that names the directory and %s", tt.new, err, tt.want)
		}
	}
}

func TestBottlenecksThatDoNotFitAreRefused(t *testing.T) {
	tensors := tensorsIn(t, "testdata/seq_bn-gpt2")
	other := slices.Clone(tensors)
	other[0].Name = "transformer.wte.weight"
	for _, tt := range []struct {
		info    AdapterInfo
		tensors []safetensors.Tensor
		want    string
	}{
		{hubOf(t, "seq_bn-gpt2"), other, "transformer.wte.weight"},
		{hubOf(t, "seq_bn-bert-cls"), tensors, "has no tensor of its head"},
		{AdapterInfo{Spec: job.Spec{Method: "adapter"}}, tensors, "section bottleneck"},
		{AdapterInfo{Spec: job.Spec{Method: "adapter", Bottleneck: &job.Bottleneck{}}}, tensors, "hidden_size"},
	} {
		if _, err := Adapter(filepath.Join(t.TempDir(), "adapter"), tt.info, tt.tensors); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}

func FuzzParseHub(f *testing.F) {
	data, err := os.ReadFile("testdata/cross-t5/adapter_config.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"config":{"scaling":"channel","reduction_factor":{"1":2,"default":4},"output_adapter":true},"name":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, info, err := parseHub(b); err == nil && !(info.Spec.Bottleneck.ReductionFactor > 0) {
			t.Errorf("%+v was taken", info.Spec.Bottleneck)
		}
	})
}
