package launch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a child of this one: a node or a coordinator. It writes to a log
// file by pipes that this process reads, and ends when the pipe that is its
// standard input closes, so it never outlives this process.
type process struct {
	name string
	log  string // path of the log
	cmd  *exec.Cmd
	hold io.Closer     // the write end of its standard input
	done chan struct{} // closed when it has ended
	err  error         // why it ended; read after done

	peak  int64 // most bytes of memory taken, as far as it was seen
	began time.Time
	again bool // started since its predecessor ended
}

// start runs command as a child named name, in a process group of its own, so
// that a Ctrl-C at the terminal reaches this process only. Its environment is this
// process's and env.
func start(name string, command, env []string, logDir string) (*process, error) {
	log := filepath.Join(logDir, name+".log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(cmd.Environ(), env...)
	pipe := pipeTo{out}
	cmd.Stdout, cmd.Stderr = pipe, pipe // not *os.File: read by this process
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	hold, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), out.Close())
	}
	p := &process{name: name, log: log, cmd: cmd, hold: hold, done: make(chan struct{}), began: time.Now()}
	go func() { // ends with the child; stop waits for it
		p.err = errors.Join(cmd.Wait(), out.Close())
		close(p.done)
	}()
	return p, nil
}

// pipeTo hides that a writer is a file, so that os/exec puts a pipe between.
type pipeTo struct{ w io.Writer }

func (p pipeTo) Write(b []byte) (int, error) { return p.w.Write(b) }

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends the child as a power cut would.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return nil
}

// stop asks the child to end by closing its standard input, and kills it if it
// has not ended within patience.
func (p *process) stop(patience time.Duration) {
	p.hold.Close()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.kill()
	}
}

// lastWords tells in one line why the child ended: the error that its main
// printed last, unless it was ended from outside.
func (p *process) lastWords() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprint(p.err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if said, ok := strings.CutPrefix(lines[len(lines)-1], "carillon: "); ok {
		return said
	}
	return fmt.Sprintf("%v (log: %s)", p.err, p.log)
}

// freePorts finds n ports of the loopback interface that nobody listens on. They
// are all held open until all are found, so they differ.
func freePorts(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}
