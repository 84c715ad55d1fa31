package child_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"

	"carillon/child"
)

const stubborn = "CARILLON_TEST_STUBBORN_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(stubborn) != "" {
		_, stop := child.Context(context.Background(), os.Stdin)
		defer stop()
		select {} // as one that computes
	}
	os.Exit(m.Run())
}

// A child that does not heed its context is not left behind by its parent.
func TestChildThatDoesNotEndIsEnded(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), stubborn+"=1")
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hold.Close()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v, want exit status 1", err)
	}
}
