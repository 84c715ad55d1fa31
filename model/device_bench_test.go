package model

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/optim"
	"carillon/safetensors"
)

// What BenchmarkStep measures. The test's binary can be taken to a machine with a
// GPU, and needs no Go there:
//
//	go test -c ./model
//	CARILLON_TEST_DEVICE=cuda:/path/of/xla_cuda_plugin.so ./model.test -test.run '^$' -test.bench Step -step.shape llama1b -step.bf16
var (
	stepShape  = flag.String("step.shape", "", "gpt2, llama1b or small; none: BenchmarkStep is left out")
	stepMethod = flag.String("step.method", "lora", "lora (r 8 on c_attn, or on q_proj and v_proj) or full")
	stepBF16   = flag.Bool("step.bf16", false, "products of bfloat16 (on a GPU)")
	stepAgain  = flag.Bool("step.checkpointing", false, "gradient checkpointing")
	stepRows   = flag.Int("step.rows", 4, "rows of a batch")
	stepLength = flag.Int("step.length", 512, "tokens of a row")
	stepCount  = flag.Int("step.count", 10, "steps, of which the median counts")
)

// stepShapes are config.json's of models that people have.
var stepShapes = map[string]map[string]any{
	"gpt2": {"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12},
	"llama1b": {"model_type": "llama", "vocab_size": 32000, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22,
		"num_attention_heads": 32, "num_key_value_heads": 4, "max_position_embeddings": 2048},
	"small": {"model_type": "llama", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048},
}

// BenchmarkStep measures a step of one node as a job takes it: the trainables go to
// the device, the gradient comes back, AdamW changes the trainables. It prints tokens
// per second, the memory taken, and the share of the step in which the device does
// not compute: the rest is a run of the same program that brings nothing but the loss.
func BenchmarkStep(b *testing.B) {
	if *stepShape == "" {
		b.Skip("no -step.shape")
	}
	be := backendtest.CPU(b)
	s := newStepSession(b, be)
	in, flat, grad := randomInput(s, *stepRows, *stepLength), s.Initial(), make([]float32, s.Size())
	m, v := make([]float32, s.Size()), make([]float32, s.Size())
	adam := optim.AdamW{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
	update := uint64(0)
	step := func() {
		if err := s.Upload(flat); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Gradient(in, job.Key{1, 2}, grad); err != nil {
			b.Fatal(err)
		}
		adam.UpdateAll(flat, grad, m, v, update, 1e-4, 1)
		update++
	}
	graph := func() {
		if _, err := s.Loss(in); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		start := time.Now()
		step()
		compile := time.Since(start)
		whole, alone, _ := pairs(*stepCount, step, graph)
		tokens := float64(in.Rows * in.Len)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(whole.Seconds()*1e3, "ms/step")
		b.ReportMetric(alone.Seconds()*1e3, "ms/graph")
		b.ReportMetric(100*(1-alone.Seconds()/whole.Seconds()), "%outside")
		b.ReportMetric(tokens/whole.Seconds(), "tokens/s")
		b.ReportMetric(memoryTaken(be)/(1<<20), "MiB")
		b.ReportMetric(compile.Seconds(), "s-first")
	}
}

// newStepSession puts the method into a model of the shape with random weights.
func newStepSession(b *testing.B, be *backend.Backend) *Session {
	b.Helper()
	m, err := Load(be, randomDir(b, be, stepShapes[*stepShape]), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close() })
	targets := []string{"q_proj", "v_proj"}
	if *stepShape == "gpt2" {
		targets = []string{"c_attn"}
	}
	s, err := m.Train(job.Spec{
		Method: *stepMethod, BF16: *stepBF16, GradientCheckpointing: *stepAgain,
		LoRA: &job.LoRA{R: 8, LoraAlpha: 16, TargetModules: targets},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// randomDir writes a model with random weights in bfloat16. Its numbers repeat: to
// draw a billion of them takes longer than what is measured.
func randomDir(b *testing.B, be *backend.Backend, config map[string]any) string {
	b.Helper()
	if config == nil {
		b.Fatalf("-step.shape is %q", *stepShape)
	}
	dir := b.TempDir()
	text, err := json.Marshal(config)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644); err != nil {
		b.Fatal(err)
	}
	_, arch, err := parseConfig(text)
	if err != nil {
		b.Fatal(err)
	}
	p, err := partsOf(be.Compute(), arch)
	if err != nil {
		b.Fatal(err)
	}
	var infos []safetensors.Info
	for _, d := range p.own {
		infos = append(infos, safetensors.Info{Name: d.Name, DType: safetensors.BF16, Shape: d.Shape})
	}
	f, err := os.Create(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	drawn := drawNumbers(1<<20 + 7) // no multiple of a row
	err = safetensors.WriteEach(w, infos, func(t safetensors.Info, dst []float32) error {
		for i := 0; i < len(dst) && len(t.Shape) > 1; {
			i += copy(dst[i:], drawn)
		}
		for i := range dst {
			if len(t.Shape) == 1 {
				dst[i] = 1
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return dir
}

// drawNumbers returns n numbers between -0.03 and 0.03.
func drawNumbers(n int) []float32 {
	key, x := job.NewKey(5, job.ForInit), make([]float32, n)
	for i := range x {
		x[i] = 0.06 * (key.Uniform(uint64(i)) - 0.5)
	}
	return x
}

// memoryTaken returns how much of the device's memory is taken, or where there is no
// device the most that the process has had of the machine's, in bytes; 0: not known.
func memoryTaken(be *backend.Backend) float64 {
	if be.Kind() == backend.CUDA {
		out, err := exec.Command("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits").Output()
		mib, bad := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil || bad != nil {
			return 0
		}
		return mib * (1 << 20)
	}
	status, _ := os.ReadFile("/proc/self/status") // empty where there is none
	lines := strings.Split(string(status), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "VmHWM:") })
	if i < 0 {
		return 0
	}
	var kib float64
	fmt.Sscanf(lines[i], "VmHWM: %f kB", &kib)
	return kib * 1024
}
