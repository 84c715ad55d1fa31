package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"carillon/launch"
	"carillon/testtool"
)

// launchSteps is enough for a job to be stopped in its middle.
const launchSteps = 60

// bench is where launch is tested: three hosts that are addresses of loopback.
func bench(t *testing.T) (c *cluster, recipe []string) {
	if !*full {
		t.Skip("with -cluster only (make cluster-test)")
	}
	c = &cluster{t: t, dir: t.TempDir(), running: map[string]*process{}}
	c.bin = c.path("carillon")
	build := exec.Command("go", "build", "-o", c.bin, "./cmd/carillon")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return c, []string{"recipes/demo.yaml", "--json", "--set", fmt.Sprintf("max_steps=%d", launchSteps)}
}

// sshd starts a real one and returns the command that reaches it.
func (c *cluster) sshd() (ssh string) {
	program, err := exec.LookPath("sshd")
	if err != nil {
		program = "/usr/sbin/sshd"
	}
	if _, err := os.Stat(program); err != nil {
		c.t.Skip("THERE IS NO sshd HERE: launch over ssh is not tested")
	}
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", c.path(key)).CombinedOutput(); err != nil {
			c.t.Fatalf("%v\n%s", err, out)
		}
	}
	_, port, _ := net.SplitHostPort(testtool.Ports(c.t, 1)[0])
	_ = os.MkdirAll("/run/sshd", 0o755) // what sshd wants as root
	c.write("sshd_config", fmt.Sprintf("Port %s\nListenAddress 0.0.0.0\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nSetEnv HOME=%s XDG_CACHE_HOME=%s\n",
		port, c.path("host"), c.path("user.pub"), c.path("home"), cacheDir(c.t)))
	c.write("ssh_config", fmt.Sprintf("Host *\nPort %s\nIdentityFile %s\nIdentitiesOnly yes\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n", port, c.path("user")))
	host{}.run(c.t, "sshd", nil, nil, program, "-D", "-e", "-f", c.path("sshd_config"))
	c.await("sshd", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return "ssh -F " + c.path("ssh_config")
}

func (c *cluster) write(name, text string) {
	if err := os.WriteFile(c.path(name), []byte(text), 0o700); err != nil {
		c.t.Fatal(err)
	}
}

// srun stands in for Slurm's: it runs what it is given, on this machine.
const srun = `#!/bin/sh
while [ "${1#--}" != "$1" ]; do
	case "$1" in --nodelist=*) echo "${1#--nodelist=}" >> "$0.hosts" ;; esac
	shift
done
exec "$@"
`

// One command trains on three machines over ssh, and leaves nothing there.
func TestLaunchOverSSH(t *testing.T) {
	c, recipe := bench(t)
	ssh := c.sshd()
	c.write("hosts", "# three machines\n127.0.0.2 slots=2\n127.0.0.3\nroot@127.0.0.4\n")
	text := c.carillon(append([]string{"launch", "--hosts", c.path("hosts"), "--ssh", ssh, "--devices", "cpu", "--store", c.path("store"), "--out", c.path("out")}, recipe...)...)
	var res launch.Result
	if err := json.Unmarshal([]byte(text), &res); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	t.Logf("rosters:\n%s", strings.Join(res.Rosters, "\n"))
	c.compare(res, recipe)
	if left, _ := filepath.Glob("/tmp/carillon-demo-*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if kept, _ := filepath.Glob(c.path("home", ".cache", "carillon", "bin", "*")); len(kept) != 1 {
		t.Errorf("the program on the hosts: %v, want one copy", kept)
	}
}

// A host that cannot be reached is named, with why, before anything runs.
func TestLaunchNamesTheHostThatIsNotThere(t *testing.T) {
	c, recipe := bench(t)
	ssh := c.sshd()
	c.write("hosts", "127.0.0.2\nno-such-host.invalid\n")
	cmd := exec.Command(c.bin, append([]string{"launch", "--hosts", c.path("hosts"), "--ssh", ssh, "--store", c.path("store"), "--out", c.path("out")}, recipe...)...)
	cmd.Dir = root
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "host no-such-host.invalid") || time.Since(began) > time.Minute {
		t.Errorf("after %v: %v\n%s", time.Since(began), err, out)
	}
}

// scontrol stands in for Slurm's: it notes what it is asked.
const scontrol = `#!/bin/sh
echo "$@" >> "$0.asked"
`

// In an allocation the batch script trains with srun; the time limit ends the job with a
// checkpoint and puts it into the queue again, and the next start goes on. The hash is
// the undisturbed one's.
func TestLaunchInsideSlurm(t *testing.T) {
	c, recipe := bench(t)
	c.write("srun", srun)
	c.write("scontrol", scontrol)
	slurm := []string{"SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=127.0.0.[2-4]", "HOME=" + c.path("home"), "XDG_CACHE_HOME=" + cacheDir(t), "PATH=" + c.dir + ":" + os.Getenv("PATH")}
	script := func(restarts int, out *bytes.Buffer) *process {
		env := append([]string{fmt.Sprintf("SLURM_RESTART_COUNT=%d", restarts)}, slurm...)
		command := append([]string{"bash", "deploy/slurm/carillon.sbatch"}, recipe...)
		command = append(command, "--devices", "cpu", "--store", c.path("store"), "--out", c.path("out"), "--set", "save_steps=20")
		return host{}.run(t, fmt.Sprintf("launch%d", restarts), env, out, command...)
	}
	var first, second bytes.Buffer
	p := script(0, &first)
	c.await("a step", func() bool { return strings.Contains(p.text(), fmt.Sprintf("/%d  loss", launchSteps)) })
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil { // to the script, as --signal=B:TERM@120 has it
		t.Fatal(err)
	}
	<-p.done
	var res launch.Result
	if err := json.Unmarshal(first.Bytes(), &res); err != nil || !res.Stopped || res.Steps == 0 {
		t.Fatalf("at the time limit: %+v, %v: %s", res, err, first.String())
	}
	if asked, err := os.ReadFile(c.path("scontrol.asked")); err != nil || string(asked) != "requeue 7\n" {
		t.Errorf("scontrol was asked %q, %v; want requeue 7", asked, err)
	}
	t.Logf("the time limit came after step %d", res.Steps)
	q := script(1, &second)
	<-q.done
	if err := json.Unmarshal(second.Bytes(), &res); err != nil || res.Stopped {
		t.Fatalf("the second start: %+v, %v: %s", res, err, second.String())
	}
	c.compare(res, recipe)
	hosts, err := os.ReadFile(c.path("srun.hosts"))
	for _, h := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		if err != nil || !strings.Contains(string(hosts), h) {
			t.Errorf("srun was never asked for %s: %s, %v", h, hosts, err)
		}
	}
}

func (p *process) text() string {
	b, _ := os.ReadFile(p.log)
	return string(b)
}

// cacheDir is the user's: the plugin is there.
func cacheDir(t testing.TB) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
