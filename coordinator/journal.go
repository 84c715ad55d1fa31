package coordinator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"carillon/allreduce"
	"carillon/job"
	"carillon/wire"
)

// Metrics is a line of metrics.jsonl: a step that was made.
type Metrics struct {
	Step            uint64           `json:"step"`
	Epoch           float64          `json:"epoch"`
	Loss            float64          `json:"loss"` // mean over the step's supervised tokens
	GradNorm        float64          `json:"grad_norm"`
	LearningRate    float64          `json:"learning_rate"`
	Tokens          int64            `json:"tokens"` // supervised
	TokensPerSecond float64          `json:"tokens_per_second"`
	BytesSent       uint64           `json:"bytes_sent"` // by one node
	Nodes           int              `json:"nodes"`
	Roster          job.RosterNumber `json:"roster"`
	Seconds         float64          `json:"seconds"`
	SumSeconds      float64          `json:"sum_seconds"`         // of Seconds, spent adding up
	EvalLoss        *float64         `json:"eval_loss,omitempty"` // mean over the held-out tokens
	Digest          string           `json:"digest"`
}

// MetricsOf makes a record a line.
func MetricsOf(r wire.StepRecord) Metrics {
	m := Metrics{
		Step: r.Step, Epoch: r.Epoch, Loss: MeanLoss(r.Tail), GradNorm: r.Norm, LearningRate: r.LearningRate,
		Tokens: r.Tail[allreduce.Tokens], BytesSent: r.BytesSent, Nodes: r.Nodes, Roster: r.Roster,
		Seconds: r.Seconds, SumSeconds: r.SumSeconds, Digest: r.Digest,
	}
	if r.Seconds > 0 {
		m.TokensPerSecond = float64(m.Tokens) / r.Seconds
	}
	if r.EvalTail != nil {
		loss := MeanLoss(*r.EvalTail)
		m.EvalLoss = &loss
	}
	return m
}

// MeanLoss is what a summed tail comes to for each token; 0 where none counts.
func MeanLoss(tail [8]int64) float64 {
	if tail[allreduce.Tokens] == 0 {
		return 0
	}
	return float64(tail[allreduce.Loss]) / (1 << 20) / float64(tail[allreduce.Tokens])
}

// journal is metrics.jsonl: one line a step, each step once, in order, whoever
// leads. Two leaders cannot both write (one may not know yet that it was deposed):
// each locks the file, and looks whether it is as it left it.
type journal struct {
	f    *os.File
	size int64  // as this leader left it
	step uint64 // of the last line
}

// openJournal opens the file to go on with, and cuts off a line that whoever
// wrote last did not live to end.
func openJournal(path string) (*journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	j := &journal{f: f}
	if err := j.locked(j.look); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return j, nil
}

// locked calls fn while no other process writes.
func (j *journal) locked(fn func() error) error {
	fd := int(j.f.Fd())
	if err := syscall.Flock(fd, syscall.LOCK_EX); err != nil {
		return err
	}
	defer syscall.Flock(fd, syscall.LOCK_UN)
	return fn()
}

// tailSize is how much of the file's end holds its last line for certain.
const tailSize = 64 << 10

// look finds the last line.
func (j *journal) look() error {
	info, err := j.f.Stat()
	if err != nil {
		return err
	}
	from := max(0, info.Size()-tailSize)
	b, err := io.ReadAll(io.NewSectionReader(j.f, from, info.Size()-from))
	if err != nil {
		return err
	}
	end := bytes.LastIndexByte(b, '\n') + 1
	j.size, j.step = from+int64(end), 0
	if end == 0 {
		return j.f.Truncate(j.size)
	}
	var last Metrics
	line := b[bytes.LastIndexByte(b[:end-1], '\n')+1 : end]
	if err := json.Unmarshal(line, &last); err != nil {
		return fmt.Errorf("its last line %.80q is no step: %w; move the file away", line, err)
	}
	j.step = last.Step
	return j.f.Truncate(j.size)
}

// append writes the records that are not in the file yet, and returns the step of
// its last line.
func (j *journal) append(records []wire.StepRecord) (uint64, error) {
	err := j.locked(func() error {
		if info, err := j.f.Stat(); err != nil || info.Size() != j.size {
			if err := j.look(); err != nil { // another leader was here
				return err
			}
		}
		var lines []byte
		step := j.step
		for _, r := range records {
			if r.Step <= step {
				continue
			}
			line, err := json.Marshal(MetricsOf(r))
			if err != nil {
				return fmt.Errorf("step %d: %w", r.Step, err)
			}
			lines, step = append(append(lines, line...), '\n'), r.Step
		}
		if _, err := j.f.WriteAt(lines, j.size); err != nil {
			return err
		}
		j.size, j.step = j.size+int64(len(lines)), step
		return nil
	})
	return j.step, err
}

// close closes the file, if it was opened.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.f.Close()
}
