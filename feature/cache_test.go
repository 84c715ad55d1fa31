package feature

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
)

const rows, width = 1300, 3 // three blocks

// vectorsOf are what compute gives for rows [from, to).
func vectorsOf(from, to int) (x []float32) {
	for i := from * width; i < to*width; i++ {
		x = append(x, float32(i)/7)
	}
	return x
}

// fill is Fill, and what blocks it computed.
func fill(t *testing.T, dir string, first int) (c *Cache, blocks []int) {
	t.Helper()
	l := layout{Key{1}, rows, width, textsInBlock}
	missing := l.missing(dir, first)
	c, err := l.fill(dir, first, func(from, to int) ([]float32, error) {
		blocks = append(blocks, from/textsInBlock)
		missing -= to - from
		return vectorsOf(from, to), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if missing != 0 {
		t.Errorf("%d more rows were said to be missing than are computed", missing)
	}
	return c, blocks
}

func check(t *testing.T, c *Cache, from int) {
	t.Helper()
	r := c.Rows(from, rows)
	x, w := make([]float64, width), make([]float64, width)
	for i := range r.Len() {
		r.Row(i, x)
		clear(w)
		r.Add(i, 1, w)
		for j, want := range vectorsOf(from+i, from+i+1) {
			if x[j] != float64(want) || w[j] != float64(want) {
				t.Fatalf("row %d is %v and %v, want %v in place %d", from+i, x, w, want, j)
			}
		}
		if got := r.Dot(i, []float64{0, 0, 2}); got != 2*x[2] {
			t.Fatalf("row %d: product %v, want %v", i, got, 2*x[2])
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsThereIsNotComputedAgain(t *testing.T) {
	dir := t.TempDir()
	c, blocks := fill(t, dir, 600) // what is before row 600 is not needed yet, but for its block
	if !slices.Equal(blocks, []int{1, 2}) {
		t.Errorf("from row 600 on blocks %v are computed, want 1 and 2", blocks)
	}
	check(t, c, 600)
	for _, want := range [][]int{{0}, nil} {
		c, blocks := fill(t, dir, 0)
		if !slices.Equal(blocks, want) {
			t.Errorf("blocks %v are computed, want %v", blocks, want)
		}
		check(t, c, 0)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 || filepath.Ext(left[0]) != ".features" {
		t.Errorf("files %v", left)
	}
}

// A process that dies leaves what it has computed.
func TestWhatWasComputedSurvives(t *testing.T) {
	dir, died := t.TempDir(), errors.New("killed")
	l := layout{Key{1}, rows, width, textsInBlock}
	_, err := l.fill(dir, 0, func(from, to int) ([]float32, error) {
		if from == 2*textsInBlock {
			return nil, died
		}
		return vectorsOf(from, to), nil
	})
	if missing := l.missing(dir, 0); !errors.Is(err, died) || missing != rows-2*textsInBlock {
		t.Fatalf("%d are missing, %v", missing, err)
	}
	c, blocks := fill(t, dir, 0)
	if !slices.Equal(blocks, []int{2}) {
		t.Errorf("afterwards blocks %v are computed, want 2", blocks)
	}
	check(t, c, 0)
}

func TestDamageIsComputedAgain(t *testing.T) {
	dir := t.TempDir()
	c, _ := fill(t, dir, 0)
	l := c.layout
	c.Close()
	path, _ := filepath.Glob(filepath.Join(dir, "*"))
	for name, tt := range map[string]struct {
		at   int
		want []int
	}{
		"a vector":       {l.at(1) + 5, []int{1}},
		"a hash":         {l.at(1) - 1, []int{0}},
		"the last block": {int(l.size()) - 40, []int{2}},
		"the header":     {20, []int{0, 1, 2}},
	} {
		data := read(t, path[0])
		data[tt.at] ^= 1
		if err := os.WriteFile(path[0], data, 0o644); err != nil {
			t.Fatal(err)
		}
		c, blocks := fill(t, dir, 0)
		if !slices.Equal(blocks, tt.want) {
			t.Errorf("%s: blocks %v are computed, want %v", name, blocks, tt.want)
		}
		check(t, c, 0)
	}
	if err := os.Truncate(path[0], 100); err != nil {
		t.Fatal(err)
	}
	c, blocks := fill(t, dir, 0)
	if len(blocks) != 3 {
		t.Errorf("cut short: blocks %v are computed, want all", blocks)
	}
	check(t, c, 0)
}

func TestVectorsMustBeNumbers(t *testing.T) {
	for name, x := range map[string][]float32{"too few": {1}, "infinite": {1, float32(math.Inf(1)), 1}} {
		if _, err := (layout{Key{}, 1, 3, 1}).fill(t.TempDir(), 0, func(int, int) ([]float32, error) { return x, nil }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestKeysTellApart(t *testing.T) {
	seen := map[Key]bool{}
	for _, k := range []Key{
		KeyOf([32]byte{1}, [32]byte{}, "mean", "go"), KeyOf([32]byte{}, [32]byte{1}, "mean", "go"),
		KeyOf([32]byte{}, [32]byte{}, "cls", "go"), KeyOf([32]byte{}, [32]byte{}, "mean", "cpu"),
	} {
		if seen[k] {
			t.Errorf("%v twice", k)
		}
		seen[k] = true
	}
}

// Processes that share the work make the bytes that one alone makes.
func TestSharesMakeOneFile(t *testing.T) {
	dir, alone := t.TempDir(), t.TempDir()
	l := layout{Key{1}, rows, width, textsInBlock}
	var g errgroup.Group
	var computed atomic.Int64
	for node := range 4 { // the last has nothing to do
		g.Go(func() error {
			n, err := l.share(dir, node, 4, func(from, to int) ([]float32, error) { return vectorsOf(from, to), nil })
			computed.Add(int64(n))
			return err
		})
	}
	if err := g.Wait(); err != nil || computed.Load() != rows {
		t.Fatalf("%d rows computed (%v), want each once: %d", computed.Load(), err, rows)
	}
	for _, dir := range []string{dir, alone} {
		c, blocks := fill(t, dir, 0)
		if (blocks == nil) != (dir != alone) {
			t.Errorf("blocks %v are computed at the end", blocks)
		}
		check(t, c, 0)
	}
	path, part := l.path(dir)
	path2, _ := l.path(alone)
	if !slices.Equal(read(t, path), read(t, path2)) {
		t.Error("the files differ")
	}
	late, err := l.share(dir, 1, 4, func(int, int) ([]float32, error) { return nil, errors.New("asked") })
	if _, statErr := os.Stat(part); late != 0 || err != nil || !errors.Is(statErr, fs.ErrNotExist) {
		t.Errorf("who comes late computes %d (%v)", late, err)
	}
}

// A node that dies leaves its share to whoever fills the file.
func TestAShareThatIsMissingIsFilled(t *testing.T) {
	dir := t.TempDir()
	if _, err := (layout{Key{1}, rows, width, textsInBlock}).share(dir, 1, 3, func(from, to int) ([]float32, error) { return vectorsOf(from, to), nil }); err != nil {
		t.Fatal(err)
	}
	c, blocks := fill(t, dir, 0)
	if !slices.Equal(blocks, []int{0, 2}) {
		t.Errorf("blocks %v are computed, want 0 and 2", blocks)
	}
	check(t, c, 0)
}
