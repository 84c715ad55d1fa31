package backend

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zeebo/xxh3"
)

// A registry serves one small wheel over HTTP and counts how often.
type registry struct {
	*httptest.Server
	wheel   wheel
	bytes   []byte
	fetched atomic.Int32
	answer  http.HandlerFunc // instead of the wheel, if not nil
}

var library = bytes.Repeat([]byte("XLA, as small as it gets. "), 4000)

func newRegistry(t *testing.T) *registry {
	r := &registry{bytes: zipped(t, library)}
	sum, fast := sha256.Sum256(r.bytes), xxh3.Hash128(library).Bytes()
	r.wheel = wheel{
		name:        "small-0.0.1.whl",
		sha256:      hex.EncodeToString(sum[:]),
		size:        int64(len(r.bytes)),
		librarySize: int64(len(library)),
		libraryXXH3: hex.EncodeToString(fast[:]),
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.fetched.Add(1)
		if r.answer != nil {
			r.answer(w, q)
			return
		}
		_, _ = w.Write(r.bytes)
	}))
	t.Cleanup(r.Close)
	return r
}

func zipped(t *testing.T, content []byte) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create(wheelLibrary)
	if err == nil {
		_, err = f.Write(content)
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// installation returns one that takes its wheel from r into a new folder.
func (r *registry) installation(t *testing.T) installation {
	return installation{
		wheel:    r.wheel,
		dir:      filepath.Join(t.TempDir(), "xla"),
		lookUp:   func(context.Context, wheel) (string, error) { return r.URL, nil },
		patience: 10 * time.Second,
		progress: &strings.Builder{},
	}
}

func TestInstallFetchesOnceAndThenNeedsNoNetwork(t *testing.T) {
	r := newRegistry(t)
	in := r.installation(t)
	for range 2 {
		path, err := in.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); !bytes.Equal(got, library) {
			t.Fatalf("%s has %d bytes, want the library's %d", path, len(got), len(library))
		}
		in.offline = true
	}
	if n := r.fetched.Load(); n != 1 {
		t.Errorf("the wheel was fetched %d times, want 1", n)
	}
	wantOnly(t, in.dir, "lock", "xla_cpu_pjrt.so")
}

func TestManyInstallationsAtOnceFetchOnce(t *testing.T) {
	r := newRegistry(t)
	in := r.installation(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			mine := in
			mine.progress = &strings.Builder{}
			if _, err := mine.run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := r.fetched.Load(); n != 1 {
		t.Errorf("the wheel was fetched %d times, want 1", n)
	}
}

// Whatever is wrong with the library in the cache, it is fetched again, and
// refused with one clear error where that is not allowed.
func TestADamagedLibraryIsNeverOpened(t *testing.T) {
	flipped := bytes.Clone(library)
	flipped[len(flipped)/2] ^= 1
	for name, damaged := range map[string][]byte{
		"empty": nil, "truncated": library[:100], "too long": append(bytes.Clone(library), 0), "one bit": flipped,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			in := r.installation(t)
			put(t, in.library(), damaged)

			in.offline = true
			_, err := in.run(t.Context())
			wantError(t, err, in.library()+" is damaged", "put a copy of small-0.0.1.whl into "+in.dir)

			in.offline = false
			if _, err := in.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := r.wheel.check(in.library()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAWheelInTheCacheServesAMachineWithoutNetwork(t *testing.T) {
	r := newRegistry(t)
	in := r.installation(t)
	in.offline = true

	_, err := in.run(t.Context())
	wantError(t, err, "is not installed", "put a copy of small-0.0.1.whl into "+in.dir)
	if _, err := os.Stat(in.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was made for nothing", in.dir)
	}

	put(t, in.copied(), r.bytes[:50])
	_, err = in.run(t.Context())
	wantError(t, err, in.copied()+" is not the wheel that is pinned", "remove it")

	put(t, in.copied(), r.bytes)
	if _, err := in.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, in.dir, "lock", "small-0.0.1.whl", "xla_cpu_pjrt.so")
	if n := r.fetched.Load(); n != 0 {
		t.Errorf("the network was used %d times", n)
	}
}

func TestABadAnswerLeavesNothingBehind(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"other bytes":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "sha256 is"},
		"no such file": {http.NotFound, "the server answered 404"},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write([]byte("PK"))
		}, "unexpected EOF"},
		"without end": {func(w http.ResponseWriter, _ *http.Request) {
			for _, err := w.Write(library); err == nil; _, err = w.Write(library) {
			}
		}, "sha256 is"},
		"silence": {func(w http.ResponseWriter, q *http.Request) { <-q.Context().Done() }, "the network went silent"},
		"silence in the middle": {func(w http.ResponseWriter, q *http.Request) {
			_, _ = w.Write([]byte("PK"))
			_ = http.NewResponseController(w).Flush()
			<-q.Context().Done()
		}, "the network went silent"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.answer = tt.answer
			in := r.installation(t)
			if strings.HasPrefix(name, "silence") {
				in.patience = 100 * time.Millisecond
			}
			_, err := in.run(t.Context())
			wantError(t, err, "fetch small-0.0.1.whl", tt.want)
			wantOnly(t, in.dir, "lock")
		})
	}
}

// A wheel that is the pinned one but holds another library cannot be unpacked.
func TestUnpackChecksTheLibrary(t *testing.T) {
	r := newRegistry(t)
	in := r.installation(t)
	in.wheel.libraryXXH3 = strings.Repeat("0", 32)
	_, err := in.run(t.Context())
	wantError(t, err, "unpack the wheel", "is damaged")
	wantOnly(t, in.dir, "lock")
}

func TestInstallEndsWithItsContext(t *testing.T) {
	r := newRegistry(t)
	asked := make(chan bool)
	r.answer = func(_ http.ResponseWriter, q *http.Request) { close(asked); <-q.Context().Done() }
	in := r.installation(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := in.run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context canceled", err)
	}

	unlock, err := in.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := in.run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("while another process installs: err = %v, want context canceled", err)
	}
}

// What a killed installation left does not disturb the next.
func TestInstallGoesOverALeftover(t *testing.T) {
	r := newRegistry(t)
	in := r.installation(t)
	put(t, in.library()+".part", library[:10])
	put(t, in.copied()+".part", append(bytes.Clone(r.bytes), "more"...))
	if _, err := in.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, in.dir, "lock", "xla_cpu_pjrt.so")
}

func TestAFileInPlaceOfTheCacheFolderIsAnError(t *testing.T) {
	r := newRegistry(t)
	in := r.installation(t)
	put(t, in.dir, nil)
	_, err := in.run(t.Context())
	wantError(t, err, "make the cache folder", in.dir)
}

func TestPlatformsWithoutAWheelAreNamed(t *testing.T) {
	for _, platform := range [][2]string{{"darwin", "arm64"}, {"windows", "amd64"}, {"linux", "riscv64"}} {
		_, err := wheelFor(platform[0], platform[1])
		wantError(t, err, "not for "+platform[0]+" on "+platform[1])
	}
}

func put(t *testing.T, path string, content []byte) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err := errors.Join(err, os.WriteFile(path, content, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func wantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if g, w := strings.Join(got, " "), strings.Join(names, " "); g != w {
		t.Errorf("%s holds %q, want %q", dir, g, w)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("err = %v, want %q in it", err, part)
		}
	}
}
