package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"carillon/child"
)

// Carrier runs commands on hosts.
type Carrier interface {
	// Command is a command line that runs a shell's script on a host, with this
	// process's standard input as its own.
	Command(h Host, script string) []string
}

// SSH carries over OpenSSH, with the user's own configuration, keys and agent.
type SSH struct{ Program []string } // ssh and its options

// Command implements Carrier. There is nobody to ask for a password.
func (s SSH) Command(h Host, script string) []string {
	return append(append([]string{}, s.Program...), "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-T", h.Name, "sh -c "+quote(script))
}

// Srun carries inside a Slurm allocation.
type Srun struct{ Program []string }

// Command implements Carrier. A step of its own on each host, beside those that run.
func (s Srun) Command(h Host, script string) []string {
	return append(append([]string{}, s.Program...), "--nodes=1", "--ntasks=1", "--overlap", "--kill-on-bad-exit=0", "--nodelist="+h.Name, "sh", "-c", script)
}

// quote makes a word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// do runs a script on a host to its end, and returns what it printed.
func do(ctx context.Context, c Carrier, h Host, script string, stdin io.Reader) (string, error) {
	command := c.Command(h, script)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin = stdin
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("host %s: %w", h.Name, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// hold starts a script on a host that ends when this process lets go of it.
func hold(c Carrier, h Host, name, script, log string) (*child.Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return child.Start(name, c.Command(h, script), nil, out)
}
