package ask_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/ask"
	"carillon/ask/asktest"
	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/export"
	"carillon/job"
	"carillon/model"
)

// several makes a base with two LoRA adapters of one kind and one of prefix.
func several(t *testing.T) (be *backend.Backend, base string, adapters []ask.Adapter) {
	t.Helper()
	be, base, first := tiny(t)
	second, third := filepath.Join(t.TempDir(), "second"), filepath.Join(t.TempDir(), "prefix")
	prefix := job.Spec{Method: "prefix", Seed: 5, Prefix: &job.Prefix{NumVirtualTokens: 3}}
	if err := errors.Join(asktest.AdapterBy(be, base, second, -1), asktest.Untrained(be, base, third, prefix)); err != nil {
		t.Fatal(err)
	}
	return be, base, []ask.Adapter{{Name: "first", Dir: first}, {Name: "second", Dir: second}, {Name: "prefix", Dir: third}}
}

func openSeveral(t *testing.T, be *backend.Backend, base string, adapters []ask.Adapter, spec job.Spec) *ask.Several {
	t.Helper()
	s, err := ask.OpenSeveral(t.Context(), be, base, adapters, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Adapters over one base, asked by turns, say what each says alone, and so does the
// base.
func TestSeveralSayWhatEachSaysAlone(t *testing.T) {
	be, base, adapters := several(t)
	s := openSeveral(t, be, "", adapters, job.Spec{})
	prompts := []string{"the bell rings", "in the morning"}
	seen := map[string]string{}
	for range 2 {
		for _, adapter := range append(adapters, ask.Adapter{Name: ask.Base}) {
			a, err := s.Get(adapter.Name)
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.Complete(t.Context(), prompts, 6)
			if err != nil {
				t.Fatal(err)
			}
			want, err := open(t, be, base, adapter.Dir, job.Spec{}).Complete(t.Context(), prompts, 6)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q, %v; alone %q", adapter.Name, got, err, want)
			}
			seen[strings.Join(got, "|")] = adapter.Name
		}
	}
	if len(seen) != len(adapters)+1 {
		t.Errorf("what was said by whom: %v; want four to differ", seen)
	}
}

func TestNobodyOfThatName(t *testing.T) {
	be, base, adapters := several(t)
	s := openSeveral(t, be, base, adapters[:2], job.Spec{})
	if _, err := s.Get("frist"); err == nil || !strings.Contains(err.Error(), `no adapter "frist"; there are "base", "first", "second"`) {
		t.Errorf("a name that nobody has: %v", err)
	}
	if a, err := s.Get(""); err != nil || a.Name() != ask.Base {
		t.Errorf("nobody by name: %v, %v; want the base", a, err)
	}
	nameless := openSeveral(t, be, base, append(adapters[:1], ask.Adapter{Dir: adapters[1].Dir}), job.Spec{})
	if a, err := nameless.Get(""); err != nil || a.Name() != adapters[1].Dir {
		t.Errorf("nobody by name: %v, %v; want the adapter without a name", a, err)
	}
}

// An adapter of a model with other weights is refused, though all its shapes fit.
func TestAnAdapterOfAnotherBaseIsRefused(t *testing.T) {
	be, base, adapters := several(t)
	other, theirs := filepath.Join(t.TempDir(), "other"), filepath.Join(t.TempDir(), "theirs")
	if err := errors.Join(asktest.BaseBy(be, other, 7), asktest.Adapter(be, other, theirs)); err != nil {
		t.Fatal(err)
	}
	_, err := ask.OpenSeveral(t.Context(), be, base, append(adapters, ask.Adapter{Name: "theirs", Dir: theirs}), job.Spec{})
	for _, part := range []string{"adapter theirs: it is for the base model " + other + " with hash ", "and " + base + " has "} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v; want %q in it", err, part)
		}
	}
	open(t, be, other, theirs, job.Spec{})

	// It knows its base by hash, wherever that is.
	info, tensors, err := export.Open(theirs)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := model.HashDir(other, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	info.Base, info.BaseSHA256, info.FanInFanOut = "elsewhere", hex.EncodeToString(hash[:]), true
	if _, err := export.Adapter(theirs, info, tensors); err != nil {
		t.Fatal(err)
	}
	open(t, be, other, theirs, job.Spec{})
	want := fmt.Sprintf("base model elsewhere with hash %.6x…, and %s has ", hash, base)
	if _, err := ask.Open(t.Context(), be, base, theirs, job.Spec{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("over another base: %v; want %q in it", err, want)
	}
}

// On each backend, adapters of one kind that take turns in a session say the same each
// time, and not the same as each other.
func TestAdaptersTakeTurns(t *testing.T) {
	_, base, adapters := several(t)
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		s := openSeveral(t, be, base, adapters[:2], job.Spec{})
		var heard [4]string
		for i := range heard {
			a, err := s.Get(adapters[i%2].Name)
			if err != nil {
				t.Fatal(err)
			}
			texts, err := a.Complete(t.Context(), []string{"the bell"}, 4)
			if err != nil {
				t.Fatal(err)
			}
			heard[i] = texts[0]
		}
		if heard[0] != heard[2] || heard[1] != heard[3] || heard[0] == heard[1] {
			t.Errorf("two adapters by turns: %q", heard)
		}
	})
}
