package feature

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/job"
)

// spread trains with three nodes; run does the others' parts. It returns the files of
// vectors and weights, and what was said of nodes that were lost.
func spread(t *testing.T, be *backend.Backend, spec job.Spec, run func(ctx context.Context, p Part) error) (vectors, weights []byte, lost []error) {
	t.Helper()
	spec.Nodes = 3
	s, err := Open(t.Context(), be, spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var mu sync.Mutex
	s.Spread(run, func(err error) { mu.Lock(); lost = append(lost, err); mu.Unlock() })
	r, err := s.Train(t.Context())
	if err != nil || r.Encoded != r.Rows {
		t.Fatalf("%+v (%v)", r, err)
	}
	path, _ := s.layout().path(folder(spec))
	return read(t, path), read(t, filepath.Join(r.Export, weightsFile)), lost
}

func TestNodesReadTogether(t *testing.T) {
	be := backendtest.Go(t)
	many := func() job.Spec { return recipeOf(t, be, t.TempDir(), textsInBlock+40, "") }
	alone, aloneWeights, _ := spread(t, be, many(), func(context.Context, Part) error { return errors.New("died") })
	vectors, weights, lost := spread(t, be, many(), func(ctx context.Context, p Part) error {
		return p.do(ctx, backend.Options{Name: backend.Go})
	})
	if lost != nil || !slices.Equal(vectors, alone) || !slices.Equal(weights, aloneWeights) {
		t.Errorf("three nodes give other bits than one (%v)", lost)
	}
}

func TestANodeThatDiesIsNamed(t *testing.T) {
	be := backendtest.Go(t)
	_, _, lost := spread(t, be, recipe(t, be, t.TempDir(), ""), func(context.Context, Part) error { return errors.New("killed") })
	if err := errors.Join(lost...); len(lost) != 2 || !strings.Contains(err.Error(), "node 1, which reads examples: killed") {
		t.Errorf("lost: %v", err)
	}
}

func TestAPartMustBeOne(t *testing.T) {
	for _, args := range [][]string{nil, {"--part", "x"}, {"--part", "{}", "--backend", "go"}} {
		if err := Command(t.Context(), args, strings.NewReader(""), &strings.Builder{}); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
