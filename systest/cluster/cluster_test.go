package cluster

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"carillon/coordinator"
	"carillon/launch"
	"carillon/objstore/storetest/s3test"
	"carillon/testtool"
)

var (
	full  = flag.Bool("cluster", false, "test a whole cluster (some minutes)")
	steps = flag.Int("steps", 0, "with -cluster: so many steps instead of the recipe's")
)

// root is where the module is: recipes name files from there.
const root = "../.."

// cluster is one that was started as docs/cluster.md says.
type cluster struct {
	t        *testing.T
	dir, bin string
	hosts    map[string]host
	env      []string // of every process: credentials of the store
	store    string
	token    string // file
	running  map[string]*process
	job      *process // the submission of what is waited for
}

const three = "c1,c2,c3"

// carillon runs the program here, to its end, and returns what it prints.
func (c *cluster) carillon(args ...string) string {
	c.t.Helper()
	cmd := exec.Command(c.bin, args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), c.env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("carillon %s: %v\n%s", strings.Join(args, " "), err, lastLines(stderr.String(), 20))
	}
	return strings.TrimSpace(string(out))
}

// at are the addresses of hosts, with commas between.
func (c *cluster) at(names string) string {
	var all []string
	for name := range strings.SplitSeq(names, ",") {
		all = append(all, c.hosts[name].ip)
	}
	return strings.Join(all, ",")
}

func (c *cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

// start makes certificates and starts the S3 server and three coordinators.
func start(t *testing.T) *cluster {
	c := &cluster{t: t, dir: t.TempDir(), running: map[string]*process{}}
	c.bin = c.path("carillon")
	build := exec.Command("go", "build", "-o", c.bin, "./cmd/carillon")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c.hosts = makeHosts(t, "c1", "c2", "c3", "n1", "n2", "n3", "n4", "n5", "s3")
	c.startStore()
	c.carillon("ca", "init", c.path("ca"))
	c.carillon("ca", "issue", "alice", "--ca", c.path("ca"), "--role", "user", "--out", c.path("alice"))
	for name := range strings.SplitSeq(three, ",") {
		c.carillon("ca", "issue", name, "--ca", c.path("ca"), "--role", "coordinator", "--out", c.path("tls", name))
		c.startCoordinator(name)
	}
	c.token = c.path("token")
	token := c.carillon("ca", "token", "--ca", c.path("ca"), "--coordinators", c.at(three), "--ttl", "1h", "--uses", "5")
	if err := os.WriteFile(c.token, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "CARILLON_COORDINATORS="+c.at(three), "CARILLON_TLS="+c.path("alice"))
	return c
}

func (c *cluster) startStore() {
	program := testtool.Build(c.t, "github.com/versity/versitygw", "cmd/versitygw")
	if err := os.MkdirAll(c.path("bucket", "team"), 0o755); err != nil {
		c.t.Fatal(err)
	}
	h := c.hosts["s3"]
	h.run(c.t, "s3", nil, nil, program, "--access", s3test.AccessKey, "--secret", s3test.SecretKey, "--port", h.ip+":7070", "--quiet", "posix", c.path("bucket"))
	c.env = (&s3test.Server{}).Env()
	c.store = "s3://team/jobs?endpoint=http://" + h.ip + ":7070"
	c.await("the store", func() bool {
		cmd := exec.Command(c.bin, "store", "check", c.store)
		cmd.Env = append(os.Environ(), c.env...)
		return cmd.Run() == nil
	})
}

// listen says where to listen, in the fallback where all hosts are one.
func (h host) listen(port int) []string {
	if h.ns != "" {
		return nil
	}
	return []string{"--listen", fmt.Sprintf("%s:%d", h.ip, port)}
}

func (c *cluster) startCoordinator(name string) {
	h := c.hosts[name]
	args := []string{c.bin, "coordinator", "--name", name, "--join", c.at(three), "--bootstrap-expect", "3", "--advertise", h.ip,
		"--tls", c.path("tls", name), "--store", c.store, "--dir", c.path("state", name)}
	c.running[name] = h.run(c.t, name, c.env, nil, append(args, h.listen(7400)...)...)
}

// startNode starts a node that listens.
func (c *cluster) startNode(name string) {
	h := c.hosts[name]
	c.offer(name, nil, append(h.listen(7402), "--advertise", h.ip)...)
}

// offer starts a node.
func (c *cluster) offer(name string, env []string, flags ...string) {
	args := append([]string{c.bin, "node", "--name", name, "--token-file", c.token, "--dir", c.path("state", name), "--devices", "cpu", "--backend", "auto"}, flags...)
	clean := slices.DeleteFunc(slices.Clone(c.env), func(kv string) bool { return strings.HasPrefix(kv, "CARILLON_TLS=") }) // nodes have certificates of their own
	c.running[name] = c.hosts[name].run(c.t, name, append(clean, env...), nil, args...)
}

// misfortunes are what may befall a leader, and how that is mended.
func (c *cluster) misfortunes() []misfortune {
	all := []misfortune{
		{"is killed, and its disk is lost", func(name string) { c.running[name].kill() }, func(name string) {
			if err := os.RemoveAll(c.path("state", name)); err != nil {
				c.t.Fatal(err)
			}
			c.startCoordinator(name)
		}, true},
		{"is stopped", func(name string) { c.running[name].signal(syscall.SIGSTOP) }, func(name string) { c.running[name].signal(syscall.SIGCONT) }, false},
		{"is cut off", func(name string) { c.hosts[name].plug(c.t, "down") }, func(name string) { c.hosts[name].plug(c.t, "up") }, false},
	}
	if c.hosts["c1"].ns == "" {
		c.t.Log("without namespaces no cable can be pulled: the leader is not cut off")
		all = all[:2]
	}
	return all
}

type misfortune struct {
	what        string
	befall, end func(name string)
	renews      bool // who comes back is another one
}

// befalls has a misfortune befall the leader. The nodes go on meanwhile, with another one.
func (c *cluster) befalls(m misfortune) {
	c.t.Helper()
	var before coordinator.Status
	c.await("a leader", func() bool { before = c.status(); return before.Leader.ID != "" })
	name, old := before.Leader.ID, c.coordinators()
	m.befall(name)
	var s coordinator.Status
	c.await("another leader than "+name, func() bool { s = c.status(); return s.Leader.ID != "" && s.Leader.ID != name })
	c.t.Logf("step %d on %d nodes: the leader %s %s; step %d: %s leads", before.Step, len(before.Roster.Members), name, m.what, s.Step, s.Leader.ID)
	c.reached(s.Step + 1)
	m.end(name)
	c.await("three coordinators that vote", func() bool {
		now := c.coordinators()
		return len(now.Coordinators) == 3 && len(now.Learners) == 0 && m.renews == !slices.Equal(now.Coordinators, old.Coordinators)
	})
}

func (c *cluster) coordinators() (all coordinator.Cluster) {
	cmd := exec.Command(c.bin, "coordinators", "list", "--json")
	cmd.Env = append(os.Environ(), c.env...)
	if out, err := cmd.Output(); err == nil {
		_ = json.Unmarshal(out, &all)
	}
	return all
}

func (c *cluster) await(what string, ok func() bool) {
	c.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(5 * time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			c.t.Fatalf("%s: still not after five minutes", what)
		}
		if c.job != nil && c.job.ended(0) && !ok() {
			c.t.Fatalf("%s: not before the job had ended", what)
		}
	}
}

// status is that of the job that is worked on.
func (c *cluster) status() (s coordinator.Status) {
	cmd := exec.Command(c.bin, "status", "--json")
	cmd.Env = append(os.Environ(), c.env...)
	if out, err := cmd.Output(); err == nil {
		_ = json.Unmarshal(out, &s)
	}
	return s
}

// reached waits for a step.
func (c *cluster) reached(step uint64) coordinator.Status {
	var s coordinator.Status
	c.await(fmt.Sprintf("step %d", step), func() bool { s = c.status(); return s.Step >= step })
	return s
}

// The promise, on nine machines: one leader after another is lost, a machine is taken away
// with a notice, another without, and a fifth joins that nobody can connect to. What comes
// out is what one process makes.
func TestAClusterMakesTheSameBits(t *testing.T) {
	if !*full {
		t.Skip("with -cluster only (make cluster-test)")
	}
	c := start(t)
	mock := testtool.Build(t, "github.com/aws/amazon-ec2-metadata-mock", "cmd/ec2-metadata-mock")
	recipe := []string{"recipes/demo.yaml", "--json"}
	last := 160
	if *steps > 0 {
		last = *steps
		recipe = append(recipe, "--set", fmt.Sprintf("max_steps=%d", last))
	}
	part := func(percent int) uint64 { return uint64(last * percent / 100) }
	for _, name := range []string{"n1", "n3", "n4"} {
		c.startNode(name)
	}
	h := c.hosts["n2"]
	c.offer("n2", []string{"AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://" + h.ip + ":1338"},
		append(h.listen(7402), "--spot", "aws", "--advertise", h.ip)...)
	var out bytes.Buffer
	c.job = c.here("submit", &out, append([]string{c.bin, "submit", "--wait", "--out", c.path("out")}, recipe...)...)

	c.reached(part(5))
	for _, m := range c.misfortunes() {
		c.befalls(m)
	}
	t.Logf("step %d; a notice for n2", c.status().Step)
	h.run(t, "notice", nil, nil, mock, "spot", "--action", "terminate", "--hostname", h.ip, "--port", "1338", "--imdsv2")
	if !c.running["n2"].ended(40 * time.Second) {
		t.Error("n2 has not left within 40 s of the notice")
	}
	c.offer("n5", nil, "--hub")
	s := c.reached(c.status().Step + part(5))
	t.Logf("step %d; n2 has left, killing n3", s.Step)
	c.running["n3"].kill()
	c.await("the end", func() bool { return c.job.ended(0) })

	var res launch.Result
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		t.Fatalf("submit printed %q: %v", out.String(), err)
	}
	reasons := strings.Join(res.Rosters, "\n")
	t.Logf("%d steps in %.1f s, rosters:\n%s", res.Steps, res.Seconds, reasons)
	for _, want := range []string{"n2 leaves", "n3 is lost", "n5 joins"} {
		if !strings.Contains(reasons, want) {
			t.Errorf("no roster says %q", want)
		}
	}
	c.compare(res, recipe)
	c.secretsStay()
}

// here runs a command on this machine, which is in the network too.
func (c *cluster) here(name string, out *bytes.Buffer, command ...string) *process {
	return host{name: name}.run(c.t, name, c.env, out, command...)
}

// compare compares with what the same comes to on one node, undisturbed.
func (c *cluster) compare(res launch.Result, recipe []string) {
	c.t.Helper()
	alone := c.alone(recipe)
	if res.AdapterSHA256 == "" || res.AdapterSHA256 != alone.AdapterSHA256 || res.Digest != alone.Digest {
		c.t.Errorf("the cluster's adapter is %s, that of one node %s", res.AdapterSHA256, alone.AdapterSHA256)
	}
	c.t.Logf("sha256 %s, both", alone.AdapterSHA256)
}

// trained is what was trained on one node already, by recipe.
var trained = map[string]launch.Result{}

// alone trains on one node.
func (c *cluster) alone(recipe []string) (res launch.Result) {
	c.t.Helper()
	key := strings.Join(recipe, " ")
	if res, ok := trained[key]; ok {
		return res
	}
	text := c.carillon(append([]string{"train", "--nodes", "1", "--out", c.path("alone"), "--spot", "off"}, recipe...)...)
	if err := json.Unmarshal([]byte(text), &res); err != nil {
		c.t.Fatal(err)
	}
	trained[key] = res
	return res
}

// secretsStay makes sure that neither a key nor the token is in a log.
func (c *cluster) secretsStay() {
	token, err := os.ReadFile(c.token)
	if err != nil {
		c.t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(logs(c.t), "*.log"))
	if len(files) < 8 {
		c.t.Errorf("only %d logs", len(files))
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, secret := range []string{string(token), string(token[len(token)-20:]), "PRIVATE KEY", s3test.SecretKey} {
			if bytes.Contains(text, []byte(secret)) {
				c.t.Errorf("%s holds a secret", f)
			}
		}
	}
}
