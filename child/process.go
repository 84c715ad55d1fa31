package child

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a child of this process, as its parent sees it.
type Process struct {
	Name  string
	Began time.Time

	cmd  *exec.Cmd
	hold io.WriteCloser // the write end of its standard input
	done chan struct{}  // closed when it has ended
	err  error          // why it ended; read after done
	tail tail           // of what it wrote
}

// Start runs command as a child, in a process group of its own, so that a Ctrl-C at the
// terminal reaches this process only. Its environment is this process's and env. What it
// writes goes to out, which is closed when it has ended.
func Start(name string, command, env []string, out io.WriteCloser) (*Process, error) {
	p := &Process{Name: name, Began: time.Now(), done: make(chan struct{})}
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Env = append(p.cmd.Environ(), env...)
	both := io.MultiWriter(out, &p.tail) // not a *os.File: read by this process
	p.cmd.Stdout, p.cmd.Stderr = both, both
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if p.hold, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), out.Close())
	}
	go func() { // ends with the child
		p.err = errors.Join(p.cmd.Wait(), out.Close())
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running says whether it has not.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Err is why it ended: nil if well.
func (p *Process) Err() error {
	if p.Running() {
		return nil
	}
	return p.err
}

// Pid is its number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Killed says whether it was ended by a signal.
func (p *Process) Killed() bool {
	return !p.Running() && p.cmd.ProcessState != nil && p.cmd.ProcessState.ExitCode() == -1
}

// Signal sends it a signal. One that has ended does not hear it.
func (p *Process) Signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// Kill ends it as a power cut would.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.Name, err)
	}
	<-p.done
	return nil
}

// Say writes to its standard input.
func (p *Process) Say(text string) error {
	_, err := io.WriteString(p.hold, text)
	return err
}

// Release asks it to end, by closing its standard input.
func (p *Process) Release() { p.hold.Close() }

// Stop asks it to end, and kills it if it has not within patience.
func (p *Process) Stop(patience time.Duration) {
	p.Release()
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.Kill()
	}
}

// LastWords tells in one line why it ended: the error that its main printed last, or
// what the system says.
func (p *Process) LastWords() string {
	lines := strings.Split(strings.TrimSpace(p.tail.String()), "\n")
	if said, ok := strings.CutPrefix(lines[len(lines)-1], "carillon: "); ok {
		return said
	}
	return fmt.Sprint(p.Err())
}

// tail keeps the end of what is written.
type tail struct {
	mu  sync.Mutex // guards buf
	buf []byte
}

// tailSize is how much a tail keeps at least, in bytes.
const tailSize = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buf = append(t.buf, b...); len(t.buf) > 2*tailSize {
		t.buf = bytes.Clone(t.buf[len(t.buf)-tailSize:])
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
