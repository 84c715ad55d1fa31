package export

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pythonEnv names a Python that has torch, transformers, peft, adapters and
// safetensors.
const pythonEnv = "CARILLON_PYTHON"

// Directories of ours open in PEFT and in adapters, and give the reference's logits
// there. It takes Python with those libraries, and the fixtures beside the repository.
func TestTheLibrariesOpenOurDirectories(t *testing.T) {
	const fixtures = "../../shared/fixtures"
	python := os.Getenv(pythonEnv)
	if python == "" {
		t.Skipf("set %s to a Python with torch, transformers, peft and adapters", pythonEnv)
	}
	dirs, err := os.ReadDir(fixtures + "/adapters")
	if err != nil {
		t.Skip("the fixtures are not beside the repository")
	}
	var list []map[string]string
	for _, d := range dirs {
		name := d.Name()
		out := filepath.Join(t.TempDir(), name)
		base, reference := caseOf(name)
		export := fixtures + "/models/" + base
		info, tensors, err := Open(filepath.Join(fixtures, "adapters", name))
		if err != nil {
			t.Error(err)
			continue
		}
		again, err := infoOf(info.Spec, export)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Adapter(out, again, tensors); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		cases := fixtures + "/cases/" + base
		list = append(list, map[string]string{"dir": out, "model": export, "case": cases + "/" + reference + ".safetensors", "batch": cases + "/base.safetensors"})
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "list.json")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	said, err := exec.CommandContext(t.Context(), python, "testdata/open.py", path).CombinedOutput()
	if t.Logf("%s", said); err != nil {
		t.Error(err)
	}
}

// caseOf returns the model and the case of one of the fixtures' adapters.
func caseOf(adapter string) (model, name string) {
	for _, model := range []string{"gpt2-cls", "bert-cls", "roberta-cls", "gpt2", "llama", "t5"} {
		kind, ok := strings.CutSuffix(adapter, "-"+model)
		if !ok {
			continue
		}
		if strings.HasSuffix(kind, "_bn") || kind == "cross" {
			kind = "adapter-" + kind
		}
		return model, kind
	}
	return "", adapter
}
