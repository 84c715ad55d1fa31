// Package testtool builds the real servers that tests run against, from the module in
// tools/, so that their dependencies stay out of ours.
package testtool

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"carillon/child"

	"github.com/gofrs/flock"
)

// Required, where it is set in the environment, makes a test fail that cannot have its
// server, instead of being skipped.
const Required = "CARILLON_REQUIRE_TOOLS"

// Build returns the program that is made of a module's package. It is built once for each
// version, whoever asks, and kept in the user's cache.
func Build(t testing.TB, module, pkg string) string {
	t.Helper()
	program, err := build(module, pkg)
	switch {
	case err == nil:
	case os.Getenv(Required) != "":
		t.Fatalf("build %s for the tests: %v", path.Base(pkg), err)
	default:
		t.Skipf("there is no %s to test with: %v", path.Base(pkg), err)
	}
	return program
}

func build(module, pkg string) (string, error) {
	file, err := output("", "go", "env", "GOMOD")
	if err != nil {
		return "", err
	}
	tools := filepath.Join(filepath.Dir(file), "tools")
	version, err := output(tools, "go", "list", "-m", "-f", "{{.Version}}", module)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "carillon", "tools")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	program := filepath.Join(dir, path.Base(pkg)+"-"+version)
	lock := flock.New(program + ".lock")
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer lock.Close()
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if _, err := output(tools, "go", "build", "-o", program+".new", module+"/"+pkg); err != nil {
		return "", err
	}
	return program, os.Rename(program+".new", program)
}

// output runs a command that builds without cgo, whatever the tests are built with.
func output(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// Lacks ends a test that cannot have what it tests with: skipped, or failed where that is
// required.
func Lacks(t testing.TB, what, why string) {
	t.Helper()
	if os.Getenv(Required) != "" {
		t.Fatalf("%s: %s", what, why)
	}
	t.Skipf("there is no %s to test with: %s", what, why)
}

// EndAtOnce has the processes that this one starts end without a pause: a program that
// looks for races waits a second at its end, in case more of them show themselves.
func EndAtOnce() {
	if os.Getenv(raceOptions) == "" {
		os.Setenv(raceOptions, "atexit_sleep_ms=0")
	}
}

const raceOptions = "GORACE"

// Ports returns free addresses of loopback, one after the other.
func Ports(t testing.TB, n int) []string {
	t.Helper()
	addrs, err := child.FreePorts(n)
	if err != nil {
		t.Fatal(err)
	}
	return addrs
}
