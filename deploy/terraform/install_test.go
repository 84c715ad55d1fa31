package terraform

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// standIns are the programs that a machine has and a test has not. A secret is the base64
// of an archive where tar reads it.
var standIns = map[string]string{
	"aws": `case "$*" in
*"s3 cp THE-BINARY "*) for last; do :; done; echo program > "$last" ;;
*"get-secret-value --secret-id THE-SECRET"*) cat "$SECRET" ;;
*) exit 3 ;;
esac`,
	"gcloud": `case "$*" in
"storage cp gs://THE-BUCKET/bin/carillon "*) echo program > "$4" ;;
*"--secret THE-SECRET") cat "$SECRET" ;;
*"--secret THE-STORE_SECRET") echo AWS_ACCESS_KEY_ID=k ;;
*) exit 3 ;;
esac`,
	"id":      `exit 1`,
	"useradd": `exit 0`,
	"chown":   `echo "$@" >> "$CHOWNED"`,
}

// machine runs a rendered install script in a folder of its own that stands for /.
type machine struct{ dir, script string }

func newMachine(t *testing.T, dir, role, program string) machine {
	t.Helper()
	m := machine{dir: t.TempDir()}
	for name, text := range standIns {
		m.write(t, "bin/"+name, "#!/bin/sh\n"+text+"\n")
	}
	m.write(t, "c1/tls.key", "key")
	m.write(t, "usr/local/bin/.keep", "")
	for _, err := range []error{os.Chmod(m.path("c1"), 0o700), os.Chmod(m.path("c1/tls.key"), 0o600)} { // as carillon ca issue has them
		if err != nil {
			t.Fatal(err)
		}
	}
	secret := `printf token > "$1/secret"`
	if role == "coordinator" {
		secret = `tar -cz -C "$1/c1" . | base64 > "$1/secret"`
	}
	if out, err := exec.Command("sh", "-c", secret, "sh", m.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	var c cloudConfig
	if err := yaml.Unmarshal([]byte(render(t, dir, role+".yaml.tftpl")), &c); err != nil {
		t.Fatal(err)
	}
	m.script = strings.NewReplacer("/etc/carillon", m.path("etc/carillon"), "/usr/local/bin", m.path("usr/local/bin"),
		"THE-SHA256", fmt.Sprintf("%x", sha256.Sum256([]byte(program)))).Replace(c.WriteFiles[0].Content)
	return m
}

func (m machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m machine) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (m machine) install() (string, error) {
	cmd := exec.Command("sh")
	cmd.Stdin = strings.NewReader(m.script)
	cmd.Env = append(os.Environ(), "PATH="+m.path("bin")+":"+os.Getenv("PATH"), "SECRET="+m.path("secret"), "CHOWNED="+m.path("chowned"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A machine gets the program and what it proves itself with: its user may read that, and
// no other.
func TestMachinesInstall(t *testing.T) {
	for _, dir := range []string{"aws", "gcp"} {
		for role, key := range map[string]string{"coordinator": "etc/carillon/tls/tls.key", "node": "etc/carillon/token"} {
			m := newMachine(t, dir, role, "program\n")
			for range 2 { // it is begun again where something was missing
				if out, err := m.install(); err != nil {
					t.Fatalf("%s/%s: %v\n%s", dir, role, err, out)
				}
			}
			m.readable(t, dir+"/"+role, key)
			if info, err := os.Stat(m.path("usr/local/bin/carillon")); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("%s/%s: the program is %v, %v", dir, role, info, err)
			}
			wrong := newMachine(t, dir, role, "another")
			if out, err := wrong.install(); err == nil {
				t.Errorf("%s/%s: a program with another hash is installed\n%s", dir, role, out)
			}
			if _, err := os.Stat(wrong.path("usr/local/bin/carillon")); err == nil {
				t.Errorf("%s/%s: a program with another hash is there", dir, role)
			}
		}
	}
}

// readable makes sure that the service's user reaches a key: each folder on the way is
// its own, or open to all; and that the key is its own.
func (m machine) readable(t *testing.T, what, key string) {
	t.Helper()
	owned, err := os.ReadFile(m.path("chowned"))
	if err != nil {
		t.Fatal(err)
	}
	own := false
	for name := "etc"; name != key; {
		rest, _, _ := strings.Cut(strings.TrimPrefix(key, name+"/"), "/")
		name += "/" + rest
		own = own || strings.Contains(string(owned), "carillon:carillon "+m.path(name)+"\n")
		info, err := os.Stat(m.path(name))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if open := info.IsDir() && info.Mode()&0o005 == 0o005; !own && !open {
			t.Errorf("%s: carillon cannot enter or read %s: %v, and not its own", what, name, info.Mode())
		}
	}
	files, err := filepath.Glob(m.path("etc/carillon/*"))
	if err != nil || len(files) == 0 {
		t.Errorf("%s: %v, %v", what, files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode()&0o077 != 0 {
			t.Errorf("%s: others may read %s: %v, %v", what, f, info.Mode(), err)
		}
	}
}
