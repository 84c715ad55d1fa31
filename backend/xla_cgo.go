//go:build cgo && linux && (amd64 || arm64)

package backend

import (
	"context"
	"fmt"
	"os"

	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/installer"
)

// cpuFlags are those of XLA's CPU plugin.
var cpuFlags = []xlaFlag{
	{"xla_cpu_use_xnnpack", "false", "XNNPACK keeps the right side of a product by its address, and goes on with it when other numbers have come to stand there: weights of an earlier step"},
}

// openCPU opens XLA's CPU plugin, which it installs first if need be.
func openCPU(ctx context.Context, o Options) (*Backend, error) {
	path, err := Install(ctx, o)
	if err != nil {
		return nil, err
	}
	opening.Lock()
	defer opening.Unlock()
	if err := setEnvironment(withFlags(settings(o.Threads, os.Environ()), cpuFlags), o.Log); err != nil {
		return nil, err
	}
	// An absolute path keeps go-xla from looking for other plugins.
	be, err := xla.NewWithOptions(path, nil)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	why := fmt.Sprintf("cpu: XLA with %d threads, plugin %s", o.Threads, path)
	return &Backend{compute: be, choice: Choice{Kind: CPU, Name: CPU, Why: why}, threads: o.Threads}, nil
}

// lookUp asks the registry, whose address go-xla knows, where the wheel lies. Its
// query cannot be cancelled: when ctx ends first it is left to end by itself,
// which is the one goroutine of this package that nobody waits for.
func lookUp(ctx context.Context, w wheel) (string, error) {
	type answer struct {
		url string
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		info, err := installer.GetPipInfo(w.pkg)
		if err != nil {
			answers <- answer{"", err}
			return
		}
		url, err := addressOf(info, w)
		answers <- answer{url, err}
	}()
	select {
	case a := <-answers:
		return a.url, a.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// addressOf finds the wheel among what the registry has. A file of its name with
// other bytes would only be fetched to be refused.
func addressOf(info *installer.PipPackageInfo, w wheel) (string, error) {
	for _, r := range info.Releases[w.version] {
		switch {
		case r.Filename != w.name:
		case r.Digests["sha256"] != w.sha256:
			return "", fmt.Errorf("the registry's file has sha256 %s, want %s", r.Digests["sha256"], w.sha256)
		default:
			return r.URL, nil
		}
	}
	return "", fmt.Errorf("the registry has no such file in %s %s", w.pkg, w.version)
}
