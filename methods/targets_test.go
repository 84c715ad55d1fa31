package methods

import (
	"slices"
	"strings"
	"testing"

	"carillon/job"
)

var someModules = []string{
	"transformer.wte", "transformer.wpe",
	"transformer.h.0.attn.c_attn", "transformer.h.0.attn.c_proj", "transformer.h.0.mlp.c_fc", "transformer.h.0.mlp.c_proj",
	"transformer.h.1.attn.c_attn", "transformer.h.1.attn.c_proj", "transformer.h.1.mlp.c_fc", "transformer.h.1.mlp.c_proj",
	"transformer.h.11.mlp.c_fc", "lm_head", "score",
}

func TestTargetsMatchAsInPEFT(t *testing.T) {
	for _, tt := range []struct {
		include, exclude, saved []string
		layers                  []int
		want                    string // the modules that are changed
	}{
		{[]string{"c_attn"}, nil, nil, nil, "h.0.attn.c_attn h.1.attn.c_attn"},
		{[]string{"c_proj"}, nil, nil, []int{1}, "h.1.attn.c_proj h.1.mlp.c_proj"},
		{[]string{"c_fc"}, nil, nil, []int{1, 11}, "h.1.mlp.c_fc h.11.mlp.c_fc"},
		{[]string{"mlp.c_proj"}, nil, nil, nil, "h.0.mlp.c_proj h.1.mlp.c_proj"},
		{[]string{"transformer.h.0.attn.c_attn"}, nil, nil, []int{1}, "h.0.attn.c_attn"}, // a whole path wins over the layers
		{[]string{"attn"}, nil, nil, nil, ""},
		{[]string{"wte"}, nil, nil, nil, "wte"},
		{[]string{"lm_head"}, nil, nil, nil, "lm_head"},
		{[]string{"score"}, nil, nil, nil, ""},
		{[]string{"c_attn", "c_fc"}, []string{"c_fc"}, nil, nil, "h.0.attn.c_attn h.1.attn.c_attn"},
		{[]string{"c_attn"}, []string{`.*\.1\..*`}, nil, nil, "h.0.attn.c_attn"},
		{[]string{"c_proj"}, nil, []string{"attn"}, nil, "h.0.mlp.c_proj h.1.mlp.c_proj"},
		{[]string{`.*\.h\.[01]\.mlp\.c_(fc|proj)`}, nil, nil, nil, "h.0.mlp.c_fc h.0.mlp.c_proj h.1.mlp.c_fc h.1.mlp.c_proj"},
		{[]string{`(?!.*attn).*c_proj`}, nil, nil, nil, "h.0.mlp.c_proj h.1.mlp.c_proj"},
		{[]string{`h\.0\.mlp\.c_fc|.*c_at`}, nil, nil, nil, ""}, // an expression is of the whole path
		{[]string{AllLinear}, []string{"c_proj", "c_fc"}, nil, nil, "h.0.attn.c_attn h.1.attn.c_attn"},
		{[]string{AllLinear}, []string{"c_proj", "c_attn"}, nil, []int{11}, "h.11.mlp.c_fc"},
	} {
		targets, err := newTargets("lora", tt.include, tt.exclude, tt.saved, tt.layers)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, path := range someModules {
			if targets.linear(path, path == "lm_head") && !strings.HasPrefix(path, "transformer.w") || targets.embedding(path) {
				got = append(got, strings.TrimPrefix(path, "transformer."))
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%v: %q are changed, want %q", tt, got, tt.want)
		}
		if err := targets.check(someModules); (err == nil) != (tt.want != "") {
			t.Errorf("%v: %v", tt, err)
		}
	}
}

func TestATargetThatIsNotThereIsToldTheNearest(t *testing.T) {
	for name, want := range map[string]string{
		"c_atn":      `the model has no module "c_atn"; it has ["c_attn" `,
		"mlp.c_attn": `the model has no module "mlp.c_attn"; it has ["c_attn" `,
		"score":      "leaves no module to change",
	} {
		targets, err := newTargets("lora", []string{name}, nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := targets.check(someModules); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// A list that leaves nothing is told by which key.
func TestWhatLeavesNoModuleIsNamed(t *testing.T) {
	for _, tt := range []struct {
		include, exclude []string
		layers           []int
		want             string
	}{
		{[]string{`.*\.q_proj`}, nil, nil, `lora.target_modules: ".*\\.q_proj" matches no module's whole path; there are "transformer.h.11.mlp.c_fc" and others, which end in ["c_attn" "c_fc"`},
		{[]string{"c_attn"}, nil, []int{12}, `lora.layers_to_transform: [12] leaves no module to change of target_modules ["c_attn"]; the model's layers are 0 to 11`},
		{[]string{AllLinear}, nil, []int{12}, "lora.layers_to_transform: [12]"},
		{[]string{"c_attn"}, []string{"attn.c_attn"}, nil, `lora.target_modules ["c_attn"] leaves no module to change, of ["c_attn" "c_fc" "c_proj"`},
	} {
		targets, err := newTargets("lora", tt.include, tt.exclude, nil, tt.layers)
		if err != nil {
			t.Fatal(err)
		}
		if err := targets.check(someModules); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %s", tt, err, tt.want)
		}
	}
}

func TestWhatIsUnfrozenMustBeThere(t *testing.T) {
	method, err := newFull(job.Spec{UnfrozenParameters: []string{`transformer\.h\.9`}})
	if err != nil {
		t.Fatal(err)
	}
	err = method.(Full).CheckNames([]string{"transformer.h.0.attn.c_attn.bias", "transformer.wte.weight"})
	if want := `unfrozen_parameters: transformer\.h\.9 matches no parameter from its start; the model has ["transformer.h.0.attn.c_attn.bias" `; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// The patterns of PEFT's documentation and of the fixtures.
func TestPatternsMatchTheEndsOfPaths(t *testing.T) {
	ranks, err := newPatterns("lora.rank_pattern", map[string]int{
		"c_fc": 2, "h.1.mlp.c_fc": 6, "^transformer.h.0.attn.c_attn": 3, `h\.\d+\.attn\.c_proj`: 5, "proj": 9, "transformer.h.0": 7,
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"transformer.h.0.mlp.c_fc":    2,
		"transformer.h.1.mlp.c_fc":    2, // c_fc comes before h.1.mlp.c_fc
		"transformer.h.0.attn.c_attn": 3,
		"transformer.h.1.attn.c_attn": 8,
		"transformer.h.1.attn.c_proj": 5,
		"transformer.h.0.mlp.c_proj":  8,
	} {
		if got := ranks.of(path, 8); got != want {
			t.Errorf("%s has rank %d, want %d", path, got, want)
		}
	}
}

func TestModulesTrainedWholeAreNamedAsInPEFT(t *testing.T) {
	parameters := []string{"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}
	for _, tt := range []struct {
		save    []string
		trained []string
		wrong   string
	}{
		{nil, nil, ""},
		{[]string{"lm_head"}, []string{"base_model.model.lm_head.weight"}, ""},
		{[]string{"embed_tokens", "norm"}, []string{"base_model.model.model.embed_tokens.weight", "base_model.model.model.norm.weight"}, ""},
		{[]string{"classifier", "score"}, nil, ""}, // PEFT names both, whatever the model has
		{[]string{"lm_hed"}, nil, `no module "lm_hed" with parameters of its own; it has ["lm_head" `},
	} {
		method, err := newLoRA(job.Spec{LoRA: &job.LoRA{R: 8, LoraAlpha: 8, TargetModules: []string{"q"}, ModulesToSave: tt.save}})
		if err != nil {
			t.Fatal(err)
		}
		var trained []string
		for _, name := range parameters {
			if key, ok := method.Trains(name); ok {
				trained = append(trained, key)
			}
		}
		if !slices.Equal(trained, tt.trained) {
			t.Errorf("%q: %q are trained, want %q", tt.save, trained, tt.trained)
		}
		err = method.(LoRA).CheckNames(parameters)
		if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%q: %v, want %q", tt.save, err, tt.wrong)
		}
	}
}
