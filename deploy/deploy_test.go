package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carillon/testtool"
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
	if out, err := exec.Command("bash", "-n", "slurm/carillon.sbatch").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
