package model

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"carillon/backend/backendtest"
	"carillon/job"
)

// What is not trained lies in a file that all models of a machine map, and gives the
// gradient that a copy of one's own gives.
func TestSharedWeightsGiveTheSameBits(t *testing.T) {
	be := backendtest.Open(t)
	dir, in := t.TempDir(), openFixture(t, "gpt2/base").batch()
	gradient := func(opts Options) []float32 {
		t.Helper()
		m, err := Load(be, filepath.Join("testdata", "gpt2"), opts)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		s := startTask(t, m, loraCase, ownTask(m.arch))
		defer s.Close()
		if err := s.Upload(s.probeWeights(job.Key{3, 4})); err != nil {
			t.Fatal(err)
		}
		out := make([]float32, s.Size()+1)
		if out[s.Size()], err = s.Gradient(in, job.Key{}, out[:s.Size()]); err != nil {
			t.Fatal(err)
		}
		if opts.Share != "" && be.CanView() != (m.shared != nil) {
			t.Errorf("%s: mapped: %v", be.Kind(), m.shared != nil)
		}
		return out
	}
	for _, random := range []bool{false, true} {
		want := gradient(Options{ReinitWeights: random, Seed: 5})
		if got := gradient(Options{ReinitWeights: random, Seed: 5, Share: dir}); !slices.Equal(got, want) {
			t.Errorf("random %v: another gradient", random)
		}
	}
	if n := len(weightFiles(t, dir)); be.CanView() && n != 1 {
		t.Errorf("%d files of weights, want that of the model opened last", n)
	}
}

// A file of weights that is damaged is written again.
func TestDamagedSharedWeights(t *testing.T) {
	be, dir := backendtest.Go(t), t.TempDir()
	for _, what := range []struct {
		name   string
		before func(path string)
	}{
		{"written", nil},
		{"there", func(string) {}},
		{"damaged", func(path string) { damage(t, path) }},
		{"cut off", func(path string) { os.Truncate(path, 100) }},
		{"another's", func(path string) { os.Rename(path, filepath.Join(dir, "f00.weights")) }},
	} {
		paths := weightFiles(t, dir)
		if what.before != nil && len(paths) != 1 {
			t.Fatalf("files of weights: %v", paths)
		} else if what.before != nil {
			what.before(paths[0])
		}
		m, err := Load(be, filepath.Join("testdata", "gpt2"), Options{Share: dir})
		if err != nil {
			t.Fatal(err)
		}
		s, err := m.share()
		if err != nil {
			t.Fatalf("%s: %v", what.name, err)
		}
		err = m.read(m.base, func(r reader) error {
			for _, d := range m.base {
				want := make([]float32, d.Size())
				if err := r.value(d, want); err != nil {
					return err
				}
				if !slices.Equal(s.value(d), want) {
					t.Errorf("%s: %s has other values", what.name, d.Name)
				}
			}
			return nil
		})
		if err = errors.Join(err, m.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// Of many that begin at once one writes the file, and all have it.
func TestManyShareWeightsAtOnce(t *testing.T) {
	be, dir := backendtest.Go(t), t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		m, err := Load(be, filepath.Join("testdata", "gpt2"), Options{Share: dir})
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			if _, err := m.share(); err != nil {
				t.Error(err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(weightFiles(t, dir)); n != 1 {
		t.Errorf("%d files of weights, want one", n)
	}
}

func weightFiles(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.weights"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// damage puts a file with another byte in its middle in place of one.
func damage(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Where the file cannot be written, it is said why, nothing is left, and each has its
// own copy.
func TestNoRoomForSharedWeights(t *testing.T) {
	be := backendtest.Open(t)
	m, err := Load(be, filepath.Join("testdata", "gpt2"), Options{Share: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	l := m.layout()
	path := filepath.Join(m.options.Share, l.name)
	if err := os.Symlink("/dev/full", path+".part"); err != nil {
		t.Fatal(err)
	}
	if err := m.write(l, path); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v, want %v", err, syscall.ENOSPC)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	m.options.Share = filepath.Join(path, "lock") // beneath a file
	write := os.WriteFile(path, nil, 0o600)
	if err := m.moveFrozen(m.base[:1], false); err != nil || write != nil {
		t.Fatal(err, write)
	}
	if m.buffer(m.base[0].Name, dtypes.Float32) == nil {
		t.Error("there is no copy")
	}
	if err := m.Unshared(); be.CanView() != errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("%s: %v, want %v", be.Kind(), err, syscall.ENOTDIR)
	}
}
