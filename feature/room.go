package feature

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
)

// An output layer lies in memory so many times while it is trained: weights, two
// moments, gradient and the best so far, and on the device weights and gradient. A
// batch's logits do so three times.
const (
	layerCopies = 7
	logitCopies = 3
)

// room refuses an output layer that this machine's memory cannot hold beside the
// states that it is trained on, of which each step reads some from all over the file.
func (s *Source) room(available int64) error {
	vocab, width, rows := int64(s.facts.Vocab), int64(s.facts.Width), int64(s.words.rows())
	layer, states := 4*vocab*(width*layerCopies+headBatch*logitCopies), 4*rows*width
	if available == 0 || layer+states <= available {
		return nil
	}
	return fmt.Errorf("method: feature trains an output layer of %d x %d numbers, which takes %.1f GB, on the states of %d tokens, which take %.1f GB, and this machine has %.1f GB free: take fewer examples, or method lora",
		vocab, width, float64(layer)/1e9, rows, float64(states)/1e9, float64(available)/1e9)
}

var availableLine = regexp.MustCompile(`(?m)^MemAvailable: +(\d+) kB$`)

// free is the memory that this machine has to give, in bytes; 0 where it does not say.
func free() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	m := availableLine.FindSubmatch(data)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		return 0
	}
	return n * 1024
}
