package launch_test

import (
	"strings"
	"testing"

	"carillon/backend"
	"carillon/job"
	"carillon/launch"
	"carillon/model"
)

const (
	mb = 1 << 20
	gb = 1 << 30
)

// plan is a job of 3 nodes on a base of 100 MB, of which trained MB are trained, in
// 9 lanes.
func plan(trained int64) launch.Plan {
	return launch.Plan{
		Spec: job.Spec{Nodes: 3, MinNodes: 1, Lanes: 9, MicroBatchSize: 2, SequenceLen: 64, Compression: "q8", MaxSteps: 100, SaveSteps: 10, Buckets: []int{64}},
		Base: model.Facts{TrainableSize: int(trained * mb / 4), Memory: model.Memory{Frozen: (100 - trained) * mb, Activations: 100 * mb, Operations: 0}},
		Kind: backend.CPU, Coordinators: 3,
	}
}

// part returns a part of a need, in MB.
func part(t *testing.T, n launch.Need, name string) (host, device int64) {
	t.Helper()
	for _, p := range n {
		if strings.HasPrefix(p.Name, name) {
			return p.Host / mb, p.Device / mb
		}
	}
	t.Fatalf("no part %q in %v", name, n)
	return 0, 0
}

func TestANodesMemoryIsPredictedByParts(t *testing.T) {
	full, tenth := plan(100).Predict(), plan(10)
	tenth.Spec.Nodes, tenth.Spec.SaveSteps, tenth.Base.Memory.Activations = 1, 0, 0
	few := tenth.Predict()
	for _, tt := range []struct {
		what         string
		need         launch.Need
		part         string
		host, device int64
	}{
		{"full", full.Node, "base", 0, 0},
		{"full", full.Node, "trained", 100, 100},
		{"full", full.Node, "the optimizer", 200, 0},
		{"full", full.Node, "gradients of 3 lanes", 300, 100},
		{"full, two lost", full.Lost, "gradients of 9 lanes", 900, 100},
		{"full", full.Node, "sums", 100 + 2*100*10/32 + 2*100*12/32, 0}, // as integers; the last one and the next, packed; messages of 8 + 4 bits
		{"full, two lost", full.Lost, "sums", 100 + 2*100*10/32, 0},     // alone: no messages
		{"full", full.Node, "copies", 600, 0},
		{"full", full.Node, "activations of 2 x 64 tokens", 0, 114},
		{"a tenth", few.Node, "base", 0, 90},
		{"a tenth", few.Node, "gradients of 9 lanes", 90, 10},
		{"a tenth", few.Node, "sums", 10 + 7*10*10/32, 0}, // sums of the last six steps are kept
		{"a tenth, saved once", few.Node, "copies", 30, 0},
	} {
		if host, device := part(t, tt.need, tt.part); host != tt.host || device != tt.device {
			t.Errorf("%s: %s: %d and %d MB, want %d and %d", tt.what, tt.part, host, device, tt.host, tt.device)
		}
	}
	if full.Left != 1 || few.Left != 1 {
		t.Errorf("%d and %d nodes are left, want 1 and 1", full.Left, few.Left)
	}
}

// Rounding, checkpointing and longer rows enter by the graph; what a device holds
// counts for the machine only where it is the machine's.
func TestADeviceHasMemoryOfItsOwn(t *testing.T) {
	onCPU, j := plan(100).Predict(), plan(100)
	j.Kind = backend.CUDA
	onCUDA := j.Predict()
	cpu, _ := onCPU.Host()
	cuda, _ := onCUDA.Host()
	device, lost := onCUDA.Device()
	if cpu-cuda != device || device/mb != 944 || lost/mb != 314 {
		t.Errorf("%d MB of the machine's on the CPU, %d beside a device and %d (lost: %d) of the device's; want 944 (314)", cpu/mb, cuda/mb, device/mb, lost/mb)
	}
	j.Kind = backend.Go
	j.Base.Memory.OneByOne = 300 * mb
	if program, _ := part(t, j.Predict().Node, "program"); program != 60 {
		t.Errorf("a program of %d MB without XLA, want 60", program)
	}
	if _, held := part(t, j.Predict().Node, "activations"); held != 300 {
		t.Errorf("activations of %d MB on the Go backend, want 300", held)
	}
	if none, _ := onCPU.Device(); none != 0 {
		t.Errorf("%d bytes of a device's memory on the CPU", none)
	}
}

func TestWhatCannotFitIsRefusedWithWhatToChange(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*launch.Plan)
		have   launch.Machine
		want   []string // nothing: it fits
	}{
		"large enough":      {func(*launch.Plan) {}, launch.Machine{Host: 16 * gb}, nil},
		"memory is unknown": {func(*launch.Plan) {}, launch.Machine{}, nil},
		"two nodes fit":     {func(*launch.Plan) {}, launch.Machine{Host: 6 * gb}, []string{"the machine's memory, which has 6.0 GB", "use fewer nodes (--nodes 2)", "--force"}},
		"no number fits":    {func(*launch.Plan) {}, launch.Machine{Host: 2 * gb}, []string{"copies for checkpoints", "method lora"}},
		"many lanes": {func(p *launch.Plan) { p.Spec.Lanes = 900 }, launch.Machine{Host: 20 * gb},
			[]string{"gradients of 300 lanes", "fewer lanes with a larger micro_batch_size"}},
		"long rows": {func(p *launch.Plan) { p.Base.Memory.Activations = 40 * gb }, launch.Machine{Host: 20 * gb},
			[]string{"activations of 2 x 64 tokens, 46.0 GB", "micro_batch_size or sequence_len, or gradient_checkpointing: true"}},
		"long rows, checkpointed": {func(p *launch.Plan) { p.Base.Memory.Activations, p.Spec.GradientCheckpointing = 40*gb, true }, launch.Machine{Host: 20 * gb},
			[]string{"use a smaller micro_batch_size or sequence_len, or start it"}},
		"a large base": {func(p *launch.Plan) { p.Base.Memory.Frozen = 40 * gb }, launch.Machine{Host: 20 * gb}, []string{"base weights that stay as they are", "a smaller base_model"}},
		"a small device": {func(p *launch.Plan) { p.Kind, p.Spec.Nodes = backend.CUDA, 1 }, launch.Machine{Host: 20 * gb, Device: 300 * mb},
			[]string{"315 MB of the device's memory, which has 300 MB", "activations"}},
		"a device of unknown size": {func(p *launch.Plan) { p.Kind, p.Base.Memory.Frozen = backend.CUDA, 400*gb }, launch.Machine{Host: 20 * gb}, nil},
		"a machine for nothing":    {func(p *launch.Plan) { p.Spec.Nodes, p.Base.TrainableSize = 1, 1 }, launch.Machine{Host: 100 * mb}, []string{"program", "use a larger machine"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan(100)
			tt.change(&p)
			err := p.Check(tt.have)
			if err == nil && len(tt.want) == 0 {
				return
			}
			if err == nil || len(tt.want) == 0 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v, want one line with %q", err, tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
			}
		})
	}
}

func TestTheTableHasALineForEachPart(t *testing.T) {
	p := plan(100).Predict()
	lines := strings.Split(strings.TrimSpace(p.Table()), "\n")
	if len(lines) != 1+len(p.Node)+2 || !strings.HasSuffix(lines[0], "two lost") {
		t.Errorf("table:\n%s", p.Table())
	}
	j := plan(100)
	j.Spec.Nodes, j.Kind = 1, backend.CUDA
	p = j.Predict()
	if table := p.Table(); strings.Contains(table, "two lost") || !strings.Contains(table, "of the device's memory") {
		t.Errorf("table of one node beside a device:\n%s", table)
	}
	if line := p.String(); strings.Contains(line, "lost") || !strings.Contains(line, "315 MB of the device's") {
		t.Errorf("line: %s", line)
	}
}
