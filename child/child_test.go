package child_test

import (
	"flag"
	"io"
	"testing"

	"carillon/child"
)

func TestContextEndsWithTheInput(t *testing.T) {
	r, w := io.Pipe()
	ctx, stop := child.Context(t.Context(), r)
	defer stop()
	if err := ctx.Err(); err != nil {
		t.Fatalf("while the parent lives: %v, want a context that goes on", err)
	}
	w.Close()
	<-ctx.Done()
}

func TestRequiredNamesTheFirstFlagThatIsEmpty(t *testing.T) {
	flags := flag.NewFlagSet("node", flag.ContinueOnError)
	flags.String("name", "", "name of this node")
	flags.String("job", "", "id of the job")
	if err := flags.Parse([]string{"--name", "n1"}); err != nil {
		t.Fatal(err)
	}
	if err := child.Required(flags, "name"); err != nil {
		t.Errorf("flag given: %v", err)
	}
	const want = "node: --job is missing: id of the job"
	if err := child.Required(flags, "name", "job"); err == nil || err.Error() != want {
		t.Errorf("flag missing: got %v, want %s", err, want)
	}
}
