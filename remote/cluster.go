package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"carillon/child"
	"carillon/job"
	"carillon/pki"
	"carillon/wire"
)

// Config is a cluster to start.
type Config struct {
	Hosts   []Host
	Carrier Carrier
	Program string // this program's file
	Job     job.ID // for names
	Store   string
	Devices string   // for every host without slots
	Port    int      // of the coordinators' hubs; raft and nodes have the next ones
	Env     []string // names of variables that the processes need: credentials of the store
	LogDir  string   // of this machine
	Note    func(string)
}

// Cluster is one that was started.
type Cluster struct {
	cfg       Config
	local     string // a folder of this machine: the authority
	dir       string // a folder of each host
	program   string // file on each host
	voters    []Host
	processes []*child.Process
}

const (
	// reachPatience bounds what is done at a host before anything is started there.
	reachPatience = 2 * time.Minute
	// leavePatience is how long what was started may take to end.
	leavePatience = 30 * time.Second
)

// Start starts a cluster on hosts. On error nothing of it is left.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	for _, h := range cfg.Hosts {
		if _, err := cfg.devicesOf(h); err != nil {
			return nil, err
		}
	}
	c := &Cluster{cfg: cfg, voters: cfg.Hosts[:1]}
	if len(cfg.Hosts) >= 3 {
		c.voters = cfg.Hosts[:3]
	}
	c.dir = fmt.Sprintf("/tmp/carillon-%s-%d", cfg.Job, time.Now().UnixNano())
	err := c.authorise()
	if err == nil {
		err = c.deliver(ctx)
	}
	if err == nil {
		err = c.startAll()
	}
	if err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// authorise makes the authority of this cluster, and the certificates that are issued by hand.
func (c *Cluster) authorise() (err error) {
	if c.local, err = os.MkdirTemp("", "carillon-launch-"); err != nil {
		return err
	}
	if err := pki.Init(c.path("ca")); err != nil {
		return err
	}
	a, err := pki.OpenAuthority(c.path("ca"))
	if err != nil {
		return err
	}
	for i := range c.voters {
		if err := a.Issue(pki.Name{Role: pki.Coordinator, Name: voterName(i)}, life, c.path(voterName(i))); err != nil {
			return err
		}
	}
	if err := a.Issue(pki.Name{Role: pki.User, Name: "launch"}, life, c.path("user")); err != nil {
		return err
	}
	token, err := a.Token(c.addresses(), life, len(c.cfg.Hosts))
	if err != nil {
		return err
	}
	return os.WriteFile(c.path("token"), []byte(token), 0o600)
}

// life is how long a launch's certificates are good for.
const life = 90 * 24 * time.Hour

func voterName(i int) string { return fmt.Sprintf("c%d", i+1) }

func (c *Cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.local}, parts...)...)
}

// addresses are the coordinators', host:port.
func (c *Cluster) addresses() (all []string) {
	for _, h := range c.voters {
		all = append(all, net.JoinHostPort(h.Addr(), strconv.Itoa(c.cfg.Port)))
	}
	return all
}

// URLs are the coordinators'.
func (c *Cluster) URLs() ([]string, error) { return wire.HubURLs(strings.Join(c.addresses(), ",")) }

// Identity is the user's.
func (c *Cluster) Identity() (*pki.Identity, error) { return pki.Load(pki.FilesIn(c.path("user"))) }

// deliver puts the program and what a host must have on every host, all at once.
func (c *Cluster) deliver(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, reachPatience, fmt.Errorf("not reached within %v", reachPatience))
	defer cancel()
	sum, err := hashFile(c.cfg.Program)
	if err != nil {
		return err
	}
	c.program = "$HOME/.cache/carillon/bin/carillon-" + sum[:16]
	errs := make([]error, len(c.cfg.Hosts))
	var all sync.WaitGroup
	for i, h := range c.cfg.Hosts {
		all.Go(func() {
			if errs[i] = c.deliverProgram(ctx, h, sum); errs[i] == nil {
				errs[i] = c.deliverFiles(ctx, i, h)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// deliverProgram copies this program to a host that does not have it.
func (c *Cluster) deliverProgram(ctx context.Context, h Host, sum string) error {
	have, err := do(ctx, c.cfg.Carrier, h, fmt.Sprintf(`sha256sum "%s" 2>/dev/null | cut -d' ' -f1`, c.program), nil)
	if err != nil || have == sum {
		return err
	}
	c.cfg.Note("copying the program to " + h.Name)
	f, err := os.Open(c.cfg.Program)
	if err != nil {
		return err
	}
	defer f.Close()
	script := fmt.Sprintf(`set -e; mkdir -p "$(dirname "%[1]s")"; t="%[1]s.$$"; cat > "$t"; chmod 755 "$t"; mv "$t" "%[1]s"; "%[1]s" version`, c.program)
	_, err = do(ctx, c.cfg.Carrier, h, script, f)
	return err
}

// deliverFiles puts secrets where only the user reads them.
func (c *Cluster) deliverFiles(ctx context.Context, i int, h Host) error {
	files := map[string]string{"token": c.path("token")}
	if i < len(c.voters) {
		for _, name := range []string{pki.CAFile, pki.CertFile, pki.KeyFile, pki.IssuerFile, pki.IssuerKeyFile, pki.TokenKeyFile} {
			files["tls/"+name] = c.path(voterName(i), name)
		}
	}
	if _, err := do(ctx, c.cfg.Carrier, h, fmt.Sprintf("umask 077; mkdir -p %s/tls", c.hostDir(i)), nil); err != nil {
		return err
	}
	for name, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err := do(ctx, c.cfg.Carrier, h, fmt.Sprintf("umask 077; cat > %s/%s", c.hostDir(i), name), bytes.NewReader(text)); err != nil {
			return err
		}
	}
	return nil
}

// hostDir is the folder of a host. Several hosts may be one machine.
func (c *Cluster) hostDir(i int) string { return fmt.Sprintf("%s/%d", c.dir, i+1) }

// startAll starts coordinators and nodes.
func (c *Cluster) startAll() error {
	for i, h := range c.voters {
		args := []string{"coordinator", "--name", voterName(i), "--advertise", h.Addr(), "--listen", c.listen(h, 0), "--join", strings.Join(c.addresses(), ","),
			"--bootstrap-expect", strconv.Itoa(len(c.voters)), "--dir", c.hostDir(i) + "/coordinator", "--store", c.cfg.Store, "--tls", c.hostDir(i) + "/tls", "--until-stdin-ends"}
		if err := c.start(h, voterName(i), args); err != nil {
			return err
		}
	}
	for i, h := range c.cfg.Hosts {
		devices, err := c.cfg.devicesOf(h)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("n%d", i+1)
		args := []string{"node", "--name", name, "--advertise", h.Addr(), "--listen", c.listen(h, 2), "--token-file", c.hostDir(i) + "/token",
			"--dir", c.hostDir(i) + "/node", "--devices", devices, "--until-stdin-ends"}
		if err := c.start(h, name, args); err != nil {
			return err
		}
	}
	return nil
}

// devicesOf is what a host offers: where its file says so, that many processes.
func (c Config) devicesOf(h Host) (string, error) {
	if h.Slots == 0 {
		return c.Devices, nil
	}
	switch kind, list, _ := strings.Cut(c.Devices, ":"); kind {
	case "cuda":
		if list != "" {
			given := strings.Split(list, ",")
			if len(given) < h.Slots {
				return "", fmt.Errorf("host %s has slots=%d, and --devices %s names fewer GPUs", h.Name, h.Slots, c.Devices)
			}
			return "cuda:" + strings.Join(given[:h.Slots], ","), nil
		}
		numbers := make([]string, h.Slots)
		for i := range numbers {
			numbers[i] = strconv.Itoa(i)
		}
		return "cuda:" + strings.Join(numbers, ","), nil
	case "go", "cpu":
		return fmt.Sprintf("%s:%d", kind, h.Slots), nil
	}
	return "", fmt.Errorf("host %s has slots=%d, and --devices is %s: say of which kind they are, --devices cuda, cpu or go", h.Name, h.Slots, c.Devices)
}

// listen is where a process of a host listens: at the host's own address, where that is
// one, else everywhere.
func (c *Cluster) listen(h Host, beside int) string {
	host := ""
	if net.ParseIP(h.Addr()) != nil {
		host = h.Addr()
	}
	return net.JoinHostPort(host, strconv.Itoa(c.cfg.Port+beside))
}

// start starts this program on a host. Variables go through its input's first lines, so
// that no credential is on a command line.
func (c *Cluster) start(h Host, name string, args []string) error {
	var words []string
	for _, a := range args {
		words = append(words, quote(a))
	}
	script := fmt.Sprintf(`while IFS= read -r v && [ -n "$v" ]; do export "$v"; done; exec "%s" %s`, c.program, strings.Join(words, " "))
	p, err := hold(c.cfg.Carrier, h, name, script, filepath.Join(c.cfg.LogDir, name+".log"))
	if err != nil {
		return err
	}
	c.processes = append(c.processes, p)
	var env strings.Builder
	for _, key := range c.cfg.Env {
		if v, ok := os.LookupEnv(key); ok && !strings.Contains(v, "\n") {
			fmt.Fprintf(&env, "%s=%s\n", key, v)
		}
	}
	return p.Say(env.String() + "\n")
}

// Watch tells of processes that end, until ctx does. Its error is that no majority of the
// coordinators is left.
func (c *Cluster) Watch(ctx context.Context) error {
	ended := make(chan *child.Process)
	for _, p := range c.processes {
		go func() {
			select {
			case <-p.Done():
				select {
				case ended <- p:
				case <-ctx.Done():
				}
			case <-ctx.Done():
			}
		}()
	}
	for lost := 0; ; {
		select {
		case p := <-ended:
			text := fmt.Sprintf("%s has ended: %s (log: %s)", p.Name, p.LastWords(), filepath.Join(c.cfg.LogDir, p.Name+".log"))
			c.cfg.Note(text)
			if isVoter(p) {
				lost++
			}
			if 2*(len(c.voters)-lost) <= len(c.voters) {
				return errors.New(text)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// Stop ends everything, nodes first, and removes what was put on the hosts.
func (c *Cluster) Stop() {
	c.stop(func(p *child.Process) bool { return !isVoter(p) }) // nodes are let go by coordinators
	c.stop(isVoter)
	ctx, cancel := context.WithTimeout(context.Background(), leavePatience)
	defer cancel()
	var all sync.WaitGroup
	for i, h := range c.cfg.Hosts {
		all.Go(func() {
			_, _ = do(ctx, c.cfg.Carrier, h, fmt.Sprintf("rm -rf %s; rmdir %s 2>/dev/null; true", c.hostDir(i), c.dir), nil)
		})
	}
	all.Wait()
	os.RemoveAll(c.local)
}

// isVoter says whether a process is a coordinator.
func isVoter(p *child.Process) bool { return strings.HasPrefix(p.Name, "c") }

// stop ends some processes, all at once.
func (c *Cluster) stop(which func(*child.Process) bool) {
	var all sync.WaitGroup
	for _, p := range c.processes {
		if which(p) {
			all.Go(func() { p.Stop(leavePatience) })
		}
	}
	all.Wait()
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
