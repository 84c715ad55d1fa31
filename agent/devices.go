package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"carillon/backend"
)

// Device is what one node computes on.
type Device struct {
	Name    string   // "cuda:0"
	Backend string   // for --backend: auto, cuda, tpu, cpu or go
	Env     []string // makes it the only one that the node sees
}

// ParseDevices reads what a machine offers: all (every GPU, else the TPU, else the CPU
// once), or a list of cpu:N (N nodes), cuda:0,1 (these GPUs), tpu and go.
func ParseDevices(text string) ([]Device, error) { return parseDevices(text, "/dev") }

func parseDevices(text, dev string) ([]Device, error) {
	kind, rest, numbered := strings.Cut(text, ":")
	switch {
	case text == "all":
		return allDevices(dev), nil
	case kind == backend.CPU || kind == backend.Go:
		n := 1
		if numbered {
			var err error
			if n, err = strconv.Atoi(rest); err != nil || n < 1 || n > 64 {
				return nil, fmt.Errorf("devices %q: want %s:N with N from 1 to 64", text, kind)
			}
		}
		return several(kind, n), nil
	case kind == backend.CUDA && numbered:
		return gpus(strings.Split(rest, ","))
	case text == backend.CUDA:
		return gpus(numbersOf(dev))
	case text == backend.TPU:
		return []Device{{Name: backend.TPU, Backend: backend.TPU}}, nil
	}
	return nil, fmt.Errorf("devices %q: want all, cpu, cpu:N, cuda, cuda:0,1, tpu or go", text)
}

// allDevices looks at what the system has; which of it works is the backend's to find out.
func allDevices(dev string) []Device {
	if all, err := gpus(numbersOf(dev)); err == nil {
		return all
	}
	return []Device{{Name: backend.CPU, Backend: backend.Auto}} // a TPU is found by it, too
}

// visibleGPUs is how others, such as Slurm, say which GPUs are ours.
const visibleGPUs = "CUDA_VISIBLE_DEVICES"

// numbersOf lists the GPUs that are ours, or else those that have a device file.
func numbersOf(dev string) (numbers []string) {
	if list, ok := os.LookupEnv(visibleGPUs); ok {
		return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	}
	files, _ := filepath.Glob(filepath.Join(dev, "nvidia[0-9]*"))
	for _, f := range files {
		numbers = append(numbers, strings.TrimPrefix(filepath.Base(f), "nvidia"))
	}
	return numbers
}

func several(kind string, n int) (all []Device) {
	for i := range n {
		all = append(all, Device{Name: fmt.Sprintf("%s:%d", kind, i), Backend: kind})
	}
	return all
}

func gpus(numbers []string) (all []Device, err error) {
	for i, text := range numbers {
		n, err := strconv.Atoi(text)
		named := strings.HasPrefix(text, "GPU-") || strings.HasPrefix(text, "MIG-")
		if !named && (err != nil || n < 0) || slices.Contains(numbers[:i], text) {
			return nil, fmt.Errorf("devices: GPU %q: want the GPUs' numbers, each once, as in cuda:0,1", text)
		}
		all = append(all, Device{Name: "cuda:" + text, Backend: backend.CUDA, Env: []string{visibleGPUs + "=" + text}})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("devices: this machine has no GPU that its system knows (/dev/nvidia0)")
	}
	return all, nil
}
