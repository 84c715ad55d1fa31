package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// trialPatience is how long a trial may take. A cold disk needs a minute for the
// gigabyte of libraries that a GPU's plugin loads.
const trialPatience = 3 * time.Minute

// A verdict is what a trial found; it goes from the trial's process to ours as one
// line of JSON.
type verdict struct {
	Error  string  `json:"error,omitempty"` // why the device is not to be trusted, or ""
	Device string  `json:"device"`          // as the plugin describes it
	Worst  float64 `json:"worst"`           // the largest difference from the Go backend, relative to the largest value of its tensor
	Bits   string  `json:"bits"`            // SHA-256 of all numbers
}

// try has the device that name names tried in a process of its own, which may
// crash or hang, and returns an error that says why it is not to be trusted.
func (o Options) try(ctx context.Context, name string) (verdict, error) {
	if len(o.Prober) == 0 {
		return verdict{}, errors.New("this program has no process in which a device can be tried")
	}
	fmt.Fprintf(o.Progress, "trying %s in a process of its own\n", name)
	t := trial{command: append(append([]string{}, o.Prober...), "--backend", name, "--threads", strconv.Itoa(o.Threads)), patience: trialPatience}
	v, err := t.run(ctx)
	if err == nil && v.Error != "" {
		err = errors.New(v.Error)
	}
	return v, err
}

// A trial is a process that tries a device.
type trial struct {
	command  []string
	patience time.Duration
}

// run runs the process to its end, or ends it.
func (t trial) run(ctx context.Context) (verdict, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(t.command[0], t.command[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	hold, err := cmd.StdinPipe() // closes with this process, which ends the trial too
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return verdict{}, fmt.Errorf("start its trial: %w", err)
	}
	defer hold.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	timeout := time.NewTimer(t.patience)
	defer timeout.Stop()
	select {
	case err = <-ended:
		return judged(stdout.Bytes(), stderr.Bytes(), err)
	case <-timeout.C:
		err = fmt.Errorf("its trial took longer than %s", t.patience)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	t.end(cmd, ended)
	return verdict{}, err
}

// end kills the process. One that hangs inside the driver cannot be killed: it is
// left behind, with the goroutine that waits for it.
func (t trial) end(cmd *exec.Cmd, ended <-chan error) {
	_ = cmd.Process.Kill()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
	}
}

// judged reads the verdict of a trial that has ended, or finds in its last words
// why there is none.
func judged(stdout, stderr []byte, err error) (verdict, error) {
	var v verdict
	lines := bytes.Split(bytes.TrimSpace(stdout), []byte("\n"))
	bad := json.Unmarshal(lines[len(lines)-1], &v)
	switch {
	case err != nil:
		return verdict{}, fmt.Errorf("its trial ended with %w%s", err, lastWords(stderr))
	case bad != nil:
		return verdict{}, fmt.Errorf("its trial ended without a word%s", lastWords(stderr))
	}
	return v, nil
}

// telling are lines that tell why a process died: of XLA's log, and of the Go runtime.
var telling = regexp.MustCompile(`(?m)^(F\d{4} .*|.*Unknown flags? in XLA_FLAGS.*|panic: .*|fatal error: .*|SIG[A-Z]+: .*)$`)

// lastWords returns, to be appended to a sentence, the line that tells most.
func lastWords(stderr []byte) string {
	said := strings.TrimSpace(string(stderr))
	if line := telling.FindString(said); line != "" {
		said = line
	}
	said = strings.TrimSpace(said[strings.LastIndexByte(said, '\n')+1:])
	if said == "" {
		return ""
	}
	return ": " + said
}
