package deploy

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"carillon/testtool"
	"carillon/wire"
)

// Kubernetes' own types decode the manifests, and take no key that they do not know.
func TestManifestsAreKubernetes(t *testing.T) {
	run := func(files ...string) (string, error) {
		cmd := exec.Command("go", append([]string{"run", "./k8s"}, files...)...)
		cmd.Dir, cmd.Env = "../tools", append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	var files []string
	for _, name := range []string{"coordinators.yaml", "nodes.yaml"} {
		path, err := filepath.Abs(filepath.Join("kubernetes", name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	out, err := run(files...)
	if err != nil {
		testtool.Lacks(t, "Kubernetes' types", out)
	}
	for _, want := range []string{"StatefulSet carillon", "Deployment carillon-node", "Service carillon", "NetworkPolicy carillon-node", "7400 7401", "7402"} {
		if !strings.Contains(out, want) {
			t.Errorf("the manifests have no %s:\n%s", want, out)
		}
	}
	text, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(t.TempDir(), "wrong.yaml")
	if err := os.WriteFile(wrong, []byte(strings.Replace(string(text), "preStop:", "preStopp:", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(wrong); err == nil || !strings.Contains(out, "preStopp") {
		t.Errorf("a key that there is not passes: %v\n%s", err, out)
	}
}

func TestUnitsAreSystemds(t *testing.T) {
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze here: the units are not checked")
	}
	for _, name := range []string{"carillon-coordinator.service", "carillon-node.service"} {
		text, err := os.ReadFile(filepath.Join("systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		here := strings.ReplaceAll(string(text), "/usr/local/bin/carillon", "/bin/echo") // it looks for the program
		if err := os.WriteFile(path, []byte(here), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(program, "verify", "--man=no", path).CombinedOutput(); err != nil || strings.Contains(string(out), path) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestScriptsAreShells(t *testing.T) {
	var sky struct{ Setup, Run string }
	text, err := os.ReadFile("skypilot/carillon.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &sky)
	}
	batch, err2 := os.ReadFile("slurm/carillon.sbatch")
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	for _, script := range []string{string(batch), sky.Setup, sky.Run} {
		cmd := exec.Command("bash", "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil || script == "" {
			t.Errorf("%v\n%s\n%s", err, out, script)
		}
	}
}

// devices is for how many nodes of a machine ports are opened.
const devices = 16

// opened finds the ports that an image or a manifest names.
var opened = regexp.MustCompile(`(?m)(?:EXPOSE|[pP]ort:) ([0-9 ]+)`)

// The image and the manifests open what the program listens on, and no more.
func TestPortsAreTheProgram(t *testing.T) {
	hub, raft, first, last := fmt.Sprint(wire.HubPort), fmt.Sprint(wire.RaftPort), fmt.Sprint(wire.NodePort), fmt.Sprint(wire.NodePort+devices-1)
	for name, want := range map[string][]string{
		"Containerfile": {hub, raft, first}, "kubernetes/coordinators.yaml": {hub, raft}, "kubernetes/nodes.yaml": {first, last},
	} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		ports := map[string]bool{}
		for _, m := range opened.FindAllStringSubmatch(string(text), -1) {
			for _, port := range strings.Fields(m[1]) {
				ports[port] = true
			}
		}
		if got := slices.Sorted(maps.Keys(ports)); !slices.Equal(got, want) {
			t.Errorf("%s opens %v, the program listens on %v", name, got, want)
		}
	}
}
