package model

import (
	"runtime"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"carillon/backend/backendtest"
	"carillon/job"
)

func TestAllCoresCopyEverything(t *testing.T) {
	for _, cores := range []int{1, 3, 8} {
		before := runtime.GOMAXPROCS(cores)
		for _, n := range []int{0, 1, 1<<19 - 1, 1 << 19, 3<<18 + 5} {
			src, dst := make([]float32, n+2), make([]float32, n+1)
			for i := range src {
				src[i] = float32(i + 1)
			}
			copyAll(dst[:n], src)
			if !slices.Equal(dst[:n], src[:n]) || dst[n] != 0 {
				t.Errorf("%d numbers on %d cores: the copy differs, or goes on", n, cores)
			}
			clear(dst)
			copyAll(dst, src[:n])
			if !slices.Equal(dst[:n], src[:n]) || dst[n] != 0 {
				t.Errorf("%d numbers into more on %d cores: the copy differs, or goes on", n, cores)
			}
		}
		runtime.GOMAXPROCS(before)
	}
}

// What a pack holds is fetched from memory that is the host's and from one that is not.
func TestPacksAreFetched(t *testing.T) {
	be := backendtest.Go(t).Compute()
	for name, p := range map[string]pack{
		"in one piece": {shapes.Make(dtypes.Float32, 5), []part{{0, 3, 0, 2}, {1, 5, 2, 3}}},
		"in two":       {shapes.Make(dtypes.Float32, 5), []part{{0, 1, 0, 2}, {2, 6, 2, 3}}},
	} {
		for _, shared := range []bool{true, false} {
			b, err := be.BufferFromFlatData(0, []float32{1, 2, 3, 4, 5}, p.shape)
			if err != nil {
				t.Fatal(err)
			}
			flat := make([]float32, 10)
			if err := p.fetch(flat, b, shared); err != nil {
				t.Fatal(err)
			}
			if got := p.gather(flat); !slices.Equal(got, []float32{1, 2, 3, 4, 5}) {
				t.Errorf("%s, shared %v: %v", name, shared, got)
			}
		}
	}
}

// apart is an engine whose memory is not the host's, as a GPU's.
type apart struct{ compute.Backend }

func (apart) HasSharedBuffers() bool { return false }

func TestTheSameGradientWhereMemoryIsApart(t *testing.T) {
	f := openFixture(t, "gpt2/full")
	var gradients [2][]float32
	for i, be := range []compute.Backend{backendtest.Go(t).Compute(), apart{backendtest.Go(t).Compute()}} {
		m, err := load(be, "testdata/gpt2", Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		s, err := m.Train(job.Spec{Method: "full"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		flat := s.Initial()
		for k := range flat {
			flat[k] *= 1.5
		}
		gradients[i] = make([]float32, s.Size())
		if err := s.Upload(flat); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Gradient(f.batch(), job.Key{}, gradients[i]); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Max(gradients[0]) == 0 || !slices.Equal(gradients[0], gradients[1]) {
		t.Error("other bits than where it is the host's, or none")
	}
}
