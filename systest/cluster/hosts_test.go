package cluster

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// host is a machine of the test.
type host struct {
	name, ip  string
	ns, cable string // "" where there are no namespaces
}

// subnet is that of the test's network, and bridge where this process is in it.
const (
	subnet = "10.213.77."
	bridge = subnet + "254"
)

// makeHosts makes machines. Where namespaces cannot be made they are addresses of
// loopback, and it is said.
func makeHosts(t *testing.T, names ...string) map[string]host {
	t.Helper()
	hosts := map[string]host{}
	err := makeBridge(t)
	for i, name := range names {
		h := host{
			name: name, ip: fmt.Sprintf("%s%d", subnet, i+1),
			ns: fmt.Sprintf("carillon%d-%s", os.Getpid(), name), cable: fmt.Sprintf("crl%dv%d", os.Getpid(), i),
		}
		if err == nil {
			err = h.make(t)
		}
		hosts[name] = h
	}
	if err != nil {
		t.Logf("NO NETWORK NAMESPACES here (%v): addresses 127.0.0.2 and up serve instead", err)
		for i, name := range names {
			hosts[name] = host{name: name, ip: fmt.Sprintf("127.0.0.%d", i+2)}
		}
		return hosts
	}
	t.Logf("%d network namespaces, addresses %s1 and up", len(names), subnet)
	return hosts
}

func bridgeName() string { return fmt.Sprintf("crl%d", os.Getpid()) }

func makeBridge(t *testing.T) error {
	br := bridgeName()
	if err := ip("link", "add", br, "type", "bridge"); err != nil {
		return err
	}
	t.Cleanup(func() { _ = ip("link", "del", br) })
	if err := ip("addr", "add", bridge+"/24", "dev", br); err != nil {
		return err
	}
	return ip("link", "set", br, "up")
}

// make makes the namespace, with a cable to the bridge.
func (h host) make(t *testing.T) error {
	if err := ip("netns", "add", h.ns); err != nil {
		return err
	}
	t.Cleanup(func() { _ = ip("netns", "del", h.ns) })
	for _, args := range [][]string{
		{"link", "add", h.cable, "type", "veth", "peer", "name", "eth0", "netns", h.ns},
		{"link", "set", h.cable, "master", bridgeName()},
		{"link", "set", h.cable, "up"},
		{"-n", h.ns, "link", "set", "lo", "up"},
		{"-n", h.ns, "link", "set", "eth0", "up"},
		{"-n", h.ns, "addr", "add", h.ip + "/24", "dev", "eth0"},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	return nil
}

// plug puts the host's cable in, or pulls it: what is on its way is lost, and no connection ends.
func (h host) plug(t *testing.T, how string) {
	t.Helper()
	if err := ip("link", "set", h.cable, how); err != nil {
		t.Fatal(err)
	}
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// process is what runs on a host, with all that it starts.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// run starts a command on a host. Its output is kept, and shown if the test fails.
func (h host) run(t *testing.T, name string, env []string, stdout io.Writer, command ...string) *process {
	t.Helper()
	if h.ns != "" {
		command = append([]string{"ip", "netns", "exec", h.ns}, command...)
	}
	p := &process{name: name, cmd: exec.Command(command[0], command[1:]...), log: filepath.Join(logs(t), name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Dir, p.cmd.Env = root, append(os.Environ(), env...)
	p.cmd.Stderr, p.cmd.Stdout = out, out
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); out.Close(); close(p.done) }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			text, _ := os.ReadFile(p.log)
			t.Logf("== %s\n%s", p.name, lastLines(string(text), 25))
		}
	})
	return p
}

// kill ends the process and all of its own at once, as the end of a machine does.
func (p *process) kill() {
	for _, child := range children(p.cmd.Process.Pid) { // in groups of their own
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// signal is to the process alone.
func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(p.cmd.Process.Pid, s) }

// children are the processes that a process has started.
func children(pid int) (pids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(text)) {
			var child int
			if _, err := fmt.Sscan(field, &child); err == nil {
				pids = append(append(pids, child), children(child)...)
			}
		}
	}
	return pids
}

// ended says whether the process has ended by itself within patience.
func (p *process) ended(patience time.Duration) bool {
	select {
	case <-p.done: // of two that are ready select takes any
		return true
	default:
	}
	select {
	case <-p.done:
		return true
	case <-time.After(patience):
		return false
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

var logDirs = map[string]string{}

func logs(t *testing.T) string {
	if logDirs[t.Name()] == "" {
		logDirs[t.Name()] = t.TempDir()
	}
	return logDirs[t.Name()]
}
