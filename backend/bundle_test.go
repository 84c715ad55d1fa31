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
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zeebo/xxh3"
)

// A depot serves the wheels of a bundle and notes which were asked for.
type depot struct {
	*httptest.Server
	bundling
	mu    sync.Mutex
	files map[string][]byte
	asked []string
	fails string // a wheel that cannot be had
}

func newDepot(t *testing.T) *depot {
	d := &depot{files: map[string][]byte{}}
	fast := xxh3.Hash128(library).Bytes()
	d.bundling = bundling{
		bundle: bundle{
			name: "small", platform: runtime.GOOS + "/" + runtime.GOARCH, what: "a small plugin", notice: "licences lie there", plugin: "plugins/small.so",
			keep: []string{"plugins/*.so", "nvidia/*/lib/lib*.so*", "nvidia/cu13/bin/ptxas"},
		},
		dir:      filepath.Join(t.TempDir(), "small"),
		lookUp:   func(_ context.Context, w wheel) (string, error) { return d.URL + "/" + w.name, nil },
		patience: 10 * time.Second,
		progress: &strings.Builder{},
	}
	d.add("plugin.whl", map[string]string{"plugins/small.so": string(library), "plugins/small.py": "x"})
	d.add("libraries.whl", map[string]string{"nvidia/cu13/lib/libcublas.so.13": "cublas", "nvidia/cu13/include/cublas.h": "x", "nvidia/cu13/bin/ptxas": "ptxas", "../lib/libout.so": "x"})
	d.wheels[0].librarySize, d.wheels[0].libraryXXH3 = int64(len(library)), hex.EncodeToString(fast[:])
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		name := strings.TrimPrefix(q.URL.Path, "/")
		d.asked = append(d.asked, name)
		if name == d.fails {
			http.NotFound(w, q)
			return
		}
		_, _ = w.Write(d.files[name])
	}))
	t.Cleanup(d.Close)
	return d
}

// add adds a wheel to the bundle and the depot.
func (d *depot) add(name string, files map[string]string) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for file, content := range files {
		h := &zip.FileHeader{Name: file}
		h.SetMode(0o755)
		f, err := z.CreateHeader(h)
		if err == nil {
			_, err = f.Write([]byte(content))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	sum := sha256.Sum256(b.Bytes())
	d.files[name] = b.Bytes()
	d.wheels = append(d.wheels, wheel{pkg: name, version: "1", what: name, name: name, sha256: hex.EncodeToString(sum[:]), size: int64(b.Len())})
}

func (d *depot) wantAsked(t *testing.T, names string) {
	t.Helper()
	if got := strings.Join(d.asked, " "); got != names {
		t.Errorf("asked for %q, want %q", got, names)
	}
	d.asked = nil
}

func TestABundleIsFetchedOnce(t *testing.T) {
	d := newDepot(t)
	for range 2 {
		path, err := d.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); !bytes.Equal(got, library) {
			t.Fatalf("%s has %d bytes, want the library's %d", path, len(got), len(library))
		}
		d.offline = true
	}
	d.wantAsked(t, "plugin.whl libraries.whl")
	wantOnly(t, d.dir, "lock", "site")
	wantOnly(t, filepath.Join(d.site(), "nvidia/cu13"), "bin", "lib")
	wantOnly(t, d.site(), "libraries.whl.json", "nvidia", "plugin.whl.json", "plugins")
	if info, err := os.Stat(filepath.Join(d.site(), "nvidia/cu13/bin/ptxas")); err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("ptxas: %v, %v; want a program", info.Mode(), err)
	}
	if said := d.progress.(*strings.Builder).String(); !strings.HasSuffix(said, "licences lie there\n") {
		t.Errorf("progress is %q", said)
	}
}

// A wheel that was unpacked before the network broke off is not fetched again.
func TestABundleGoesOnWhereItWas(t *testing.T) {
	d := newDepot(t)
	d.fails = "libraries.whl"
	_, err := d.run(t.Context())
	wantError(t, err, "fetch libraries.whl", "404", "put copies of its 2 wheels, from plugin.whl on, into "+d.dir)
	if _, err := os.Stat(d.library()); err == nil {
		t.Error("half a bundle can be opened")
	}
	d.wantAsked(t, "plugin.whl libraries.whl")
	d.fails = ""
	if _, err := d.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.wantAsked(t, "libraries.whl")
}

func TestADamagedBundleIsMadeAgain(t *testing.T) {
	for file, content := range map[string]string{"plugins/small.so": strings.Repeat("x", len(library)), "nvidia/cu13/lib/libcublas.so.13": "short"[:4]} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			d := newDepot(t)
			if _, err := d.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(d.site(), file), []byte(content))
			d.offline = true
			_, err := d.run(t.Context())
			wantError(t, err, "damaged", "the network is not to be used")
			d.offline = false
			if _, err := d.run(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestWheelsInTheCacheServeAMachineWithoutNetwork(t *testing.T) {
	d := newDepot(t)
	d.offline = true
	_, err := d.run(t.Context())
	wantError(t, err, "a small plugin is not installed", "run once without --offline")
	for name, content := range d.files {
		put(t, filepath.Join(d.dir, name), content)
	}
	put(t, filepath.Join(d.dir, "libraries.whl"), []byte("PK"))
	_, err = d.run(t.Context())
	wantError(t, err, "libraries.whl is not the wheel that is pinned", "remove it")
	put(t, filepath.Join(d.dir, "libraries.whl"), d.files["libraries.whl"])
	if _, err = d.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.wantAsked(t, "")
}

func TestManyBundlesAtOnceFetchOnce(t *testing.T) {
	d := newDepot(t)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			mine := d.bundling
			mine.progress = &strings.Builder{}
			if _, err := mine.run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	d.wantAsked(t, "plugin.whl libraries.whl")
}

func TestABundleEndsWithItsContext(t *testing.T) {
	d := newDepot(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context canceled", err)
	}
}

func TestABundleForAnotherPlatformIsNamed(t *testing.T) {
	d := newDepot(t)
	d.platform = "plan9/mips"
	_, err := d.run(t.Context())
	wantError(t, err, "a small plugin is fetched for plan9/mips, not for ")
	if _, err := InstallDevice(t.Context(), "gpu", Options{CacheDir: t.TempDir()}); err == nil {
		t.Error("a device of no kind was installed")
	}
}
