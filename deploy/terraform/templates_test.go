package terraform

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"go.yaml.in/yaml/v4"
)

// cloudConfig is what cloud-init reads.
type cloudConfig struct {
	WriteFiles []struct {
		Path, Permissions, Content string
	} `yaml:"write_files"`
	RunCmd [][]string `yaml:"runcmd"`
}

// given lists the variables that a module gives a template.
func given(t *testing.T, dir, template string) (names []string) {
	t.Helper()
	for name, text := range read(t, dir) {
		f, diags := hclsyntax.ParseConfig([]byte(text), name, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		_ = hclsyntax.VisitAll(f.Body.(*hclsyntax.Body), func(n hclsyntax.Node) hcl.Diagnostics {
			call, ok := n.(*hclsyntax.FunctionCallExpr)
			if !ok || call.Name != "templatefile" || !strings.Contains(text[call.Args[0].Range().Start.Byte:call.Args[0].Range().End.Byte], template) {
				return nil
			}
			for _, item := range call.Args[1].(*hclsyntax.ObjectConsExpr).Items {
				if key, diags := item.KeyExpr.Value(nil); !diags.HasErrors() {
					names = append(names, key.AsString())
				}
			}
			return nil
		})
	}
	slices.Sort(names)
	return names
}

// render fills a template with the names of its variables.
func render(t *testing.T, dir, name string) (text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	expr, diags := hclsyntax.ParseTemplate(source, path, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var wants []string
	vars := map[string]cty.Value{}
	for _, v := range expr.Variables() {
		if _, known := vars[v.RootName()]; !known {
			wants = append(wants, v.RootName())
			vars[v.RootName()] = cty.StringVal("THE-" + strings.ToUpper(v.RootName()))
		}
	}
	slices.Sort(wants)
	if has := given(t, dir, name); !slices.Equal(has, wants) {
		t.Errorf("%s: the module gives it %v, it uses %v", path, has, wants)
	}
	v, diags := expr.Value(&hcl.EvalContext{Variables: vars})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return v.AsString()
}

func TestMachinesAreSetUp(t *testing.T) {
	for _, dir := range []string{"aws", "gcp"} {
		for role, wants := range map[string][]string{
			"coordinator": {"--name THE-NAME", "--advertise THE-ADDRESS", "--join THE-JOIN", "--bootstrap-expect 3", "'THE-STORE'", "/etc/carillon/tls", "THE-SECRET", "THE-SHA256"},
			"node":        {"--token-file /etc/carillon/token", "--devices THE-DEVICES", "--spot " + dir, "THE-SECRET", "THE-SHA256"},
		} {
			text := render(t, dir, role+".yaml.tftpl")
			var c cloudConfig
			d := yaml.NewDecoder(strings.NewReader(text))
			d.KnownFields(true)
			if err := d.Decode(&c); err != nil || !strings.HasPrefix(text, "#cloud-config\n") {
				t.Errorf("%s/%s: %v", dir, role, err)
				continue
			}
			for _, want := range wants {
				if !strings.Contains(text, want) {
					t.Errorf("%s/%s does not say %q", dir, role, want)
				}
			}
			if strings.Contains(text, "${") {
				t.Errorf("%s/%s: something is not filled in", dir, role)
			}
			checkFiles(t, dir+"/"+role, c)
		}
	}
}

// checkFiles looks at what a machine gets: a script that a shell can read, a unit, and
// that what is started was written.
func checkFiles(t *testing.T, what string, c cloudConfig) {
	t.Helper()
	var paths []string
	for _, f := range c.WriteFiles {
		paths = append(paths, f.Path, filepath.Base(f.Path))
		if strings.HasSuffix(f.Path, ".service") {
			checkUnit(t, what, filepath.Base(f.Path), f.Content)
		}
		if !strings.HasPrefix(f.Content, "#!") {
			continue
		}
		cmd := exec.Command("sh", "-n")
		cmd.Stdin = strings.NewReader(f.Content)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(f.Content, "sha256sum -c") || !strings.Contains(f.Content, "umask 077") {
			t.Errorf("%s: %s: %v %s", what, f.Path, err, out)
		}
	}
	for _, cmd := range c.RunCmd {
		last := cmd[len(cmd)-1]
		if last != "daemon-reload" && !slices.ContainsFunc(paths, func(p string) bool { return strings.Contains(last, p) }) {
			t.Errorf("%s: %v starts what is not there", what, cmd)
		}
	}
}

// checkUnit asks systemd, where there is one.
func checkUnit(t *testing.T, what, name, text string) {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Logf("%s: there is no systemd-analyze here: its unit is not checked", what)
		return
	}
	path := filepath.Join(t.TempDir(), name)
	here := strings.ReplaceAll(text, "/usr/local/bin/carillon", "/bin/echo") // it looks for the program
	if err := os.WriteFile(path, []byte(here), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "verify", "--man=no", path).CombinedOutput(); err != nil || strings.Contains(string(out), path) {
		t.Errorf("%s: %v\n%s", what, err, out)
	}
}
