package export

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"carillon/job"
	"carillon/safetensors"
)

// PEFT's own results name the sizes of the files that it wrote for Llama 3.2 3B. With
// the same names, shapes and type ours are as large to the byte.
func TestFilesAreAsLargeAsPEFTsForLlama3B(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a file of 37 MB")
	}
	const layers, hidden, keys, inner = 28, 3072, 1024, 8192
	shapes := map[string][2]int{"self_attn.q_proj": {hidden, hidden}, "self_attn.v_proj": {hidden, keys}, "mlp.gate_proj": {hidden, inner}, "mlp.up_proj": {hidden, inner}, "mlp.down_proj": {inner, hidden}}
	for _, tt := range []struct {
		modules []string
		r       int
		dora    bool
		want    int64
	}{
		{[]string{"self_attn.q_proj", "self_attn.v_proj"}, 32, false, 36_715_216},
		{[]string{"self_attn.q_proj", "self_attn.v_proj"}, 32, true, 37_181_760},
		{[]string{"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}, 10, false, 37_868_984},
	} {
		var tensors []safetensors.Tensor
		add := func(name string, shape ...int) {
			tensors = append(tensors, safetensors.Tensor{Name: name, Shape: shape, Data: make([]float32, safetensors.Info{Shape: shape}.Size())})
		}
		for i := range layers {
			for _, module := range tt.modules {
				path := fmt.Sprintf("base_model.model.model.layers.%d.%s", i, module)
				in, out := shapes[module][0], shapes[module][1]
				add(path+".lora_A.weight", tt.r, in)
				add(path+".lora_B.weight", out, tt.r)
				if tt.dora {
					add(path+".lora_magnitude_vector", out)
				}
			}
		}
		dir := filepath.Join(t.TempDir(), "adapter")
		l := &job.LoRA{R: tt.r, LoraAlpha: 64, TargetModules: tt.modules, UseDoRA: tt.dora}
		if _, err := Adapter(dir, AdapterInfo{Spec: job.Spec{Method: "lora", LoRA: l}}, tensors); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, adapterWeightsFile))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != tt.want {
			t.Errorf("r %d, DoRA %v: %d bytes, want %d", tt.r, tt.dora, info.Size(), tt.want)
		}
	}
}
