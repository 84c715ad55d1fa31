package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"carillon/objstore"
)

var errStalled = errors.New("nothing has moved on the connection")

// watch ends a request on which nothing has moved for the store's patience.
type watch struct {
	timer    *time.Timer
	patience time.Duration
}

func (s *Store) watch(stop context.CancelCauseFunc) *watch {
	return &watch{time.AfterFunc(s.patience, func() { stop(fmt.Errorf("%w for %v", errStalled, s.patience)) }), s.patience}
}

func (w *watch) moved() { w.timer.Reset(w.patience) }
func (w *watch) rest()  { w.timer.Stop() } // the caller has it, and may take its time

// try makes one request, under a watch, and explains its error.
func (s *Store) try(ctx context.Context, op string, do func(context.Context, *watch) error) error {
	trying, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	w := s.watch(stop)
	defer w.rest()
	return s.explain(ctx, op, causeOf(trying, do(trying, w)))
}

// causeOf returns, in place of the error that it led to, that a request has stalled.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

// watched is the body of a PUT. It is no io.Seeker, so that the library does not send it
// again by itself. The transport may go on reading it after the call has returned (a
// server may answer half-way), when the caller's reader belongs to the next try.
type watched struct {
	w  *watch
	mu sync.Mutex // guards the field below; held while it is read
	r  io.Reader  // nil once the try is over
}

func (b *watched) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.r == nil {
		return 0, errOver
	}
	b.w.moved()
	return b.r.Read(p)
}

// end takes the reader back.
func (b *watched) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.r = nil
	b.w.rest()
}

var errOver = errors.New("this try is over")

// body is the body of a GET. The watch runs while somebody waits for bytes.
type body struct {
	store *Store
	op    string
	ctx   context.Context // the caller's
	try   context.Context
	stop  context.CancelCauseFunc
	watch *watch
	r     io.ReadCloser
}

// open sends the GET and returns what the answer says of the whole object.
func (b *body) open(ctx context.Context, key string, opts minio.GetObjectOptions) (objstore.Info, error) {
	b.ctx = ctx
	b.try, b.stop = context.WithCancelCause(ctx)
	b.watch = b.store.watch(b.stop)
	r, o, header, err := b.store.core.GetObject(b.try, b.store.address.Bucket, b.store.key(key), opts)
	b.watch.rest()
	if err != nil {
		b.stop(nil)
		return objstore.Info{}, b.explain(err)
	}
	b.r = r
	size, err := wholeSize(o.Size, header, opts.Header().Get("Range") != "")
	if err != nil {
		return objstore.Info{}, errors.Join(fmt.Errorf("%s: %w", b.op, err), b.Close())
	}
	return objstore.Info{Size: size, Tag: o.ETag}, nil
}

func (b *body) explain(err error) error {
	return b.store.explain(b.ctx, b.op, causeOf(b.try, err))
}

func (b *body) Read(p []byte) (int, error) {
	b.watch.moved()
	n, err := b.r.Read(p)
	b.watch.rest()
	if err != nil && err != io.EOF {
		err = b.explain(err)
	}
	return n, err
}

func (b *body) Close() error {
	defer b.stop(nil)
	b.watch.rest()
	return b.r.Close()
}

// wholeSize is the size of an object of which a range may have come.
func wholeSize(came int64, h http.Header, ranged bool) (int64, error) {
	r := h.Get("Content-Range")
	switch {
	case r == "" && ranged:
		return 0, errors.New("a range was asked for, and the server's answer is none")
	case r == "" && came < 0:
		return 0, errors.New("the server does not say how large the object is")
	case r == "":
		return came, nil
	}
	_, total, _ := strings.Cut(r, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the server's Content-Range %q does not say how large the object is", r)
	}
	return size, nil
}
