package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/objstore"
	"carillon/objstore/storetest/s3test"
)

// A fault is what happens to one request on its way to the server.
type fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// wire is a network between a client and a server in which requests of a method meet
// faults, one after the other, until there are no more.
type wire struct {
	next http.Handler

	mu     sync.Mutex // guards the fields below
	method string
	faults []fault
	asked  int // requests of that method
}

func (n *wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	var f fault
	if r.Method == n.method {
		n.asked++
		if len(n.faults) > 0 {
			f, n.faults = n.faults[0], n.faults[1:]
		}
	}
	n.mu.Unlock()
	if f == nil {
		n.next.ServeHTTP(w, r)
		return
	}
	f(w, r, n.next)
}

func (n *wire) expect(method string, faults ...fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.method, n.faults, n.asked = method, faults, 0
}

// faulty returns a store that reaches a server by a wire.
func faulty(t *testing.T, server *s3test.Server) (*Store, *wire) {
	t.Helper()
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	// The request's Host stays: it is signed.
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.Out.URL.Scheme, p.Out.URL.Host = target.Scheme, target.Host }}
	n := &wire{next: proxy}
	front := httptest.NewServer(n)
	t.Cleanup(front.Close)
	through := *server
	through.Endpoint = front.URL
	s := open(t, &through)
	s.patience = 300 * time.Millisecond
	return s, n
}

// answers is a server's refusal.
func answers(status int, code string) fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>says the test</Message></Error>", code)
	}
}

// cuts closes the connection instead of serving the request.
func cuts(w http.ResponseWriter, _ *http.Request, _ http.Handler) { hangUp(w) }

// losesReply serves the request and closes the connection instead of answering.
func losesReply(w http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(httptest.NewRecorder(), r)
	hangUp(w)
}

// losesReply503 serves the request, and a proxy says that it did not.
func losesReply503(w http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(httptest.NewRecorder(), r)
	answers(http.StatusServiceUnavailable, "SlowDown")(w, r, next)
}

// stalls takes the request and says nothing.
func stalls(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// truncates sends half of what the server answers.
func truncates(w http.ResponseWriter, r *http.Request, next http.Handler) {
	half(w, r, next)
	hangUp(w)
}

// stallsHalfway sends half of what the server answers, and no more.
func stallsHalfway(w http.ResponseWriter, r *http.Request, next http.Handler) {
	half(w, r, next)
	<-r.Context().Done()
}

func half(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	for key, values := range rec.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
	_ = http.NewResponseController(w).Flush()
}

// spoils changes a byte of what is sent.
func spoils(w http.ResponseWriter, r *http.Request, next http.Handler) {
	b, _ := io.ReadAll(r.Body)
	b[len(b)/2] ^= 1
	r.Body = io.NopCloser(bytes.NewReader(b))
	next.ServeHTTP(w, r)
}

// refusesHalfway answers before it has read the body.
func refusesHalfway(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.CopyN(io.Discard, r.Body, 1<<10)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprint(w, "<Error><Code>SlowDown</Code><Message>says the test</Message></Error>")
}

// ignoresRange serves ten bytes whatever was asked for.
func ignoresRange(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("ETag", `"x"`)
	w.Header().Set("Last-Modified", "Fri, 27 Nov 2026 12:00:00 GMT")
	fmt.Fprint(w, "0123456789")
}

func hangUp(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

// everyFault is met by requests of each kind.
var everyFault = map[string][]fault{
	"500":           {answers(500, "InternalError"), answers(500, "InternalError")},
	"503 SlowDown":  {answers(503, "SlowDown"), answers(503, "SlowDown")},
	"429":           {answers(429, "TooManyRequests")},
	"expired token": {answers(400, "ExpiredToken")},
	"reset":         {cuts, cuts},
	"stall":         {stalls},
}

func TestEveryCallOutlivesFaults(t *testing.T) {
	server := s3test.Start(t, false)
	ctx := t.Context()
	value := bytes.Repeat([]byte("carillon"), 1<<14) // 128 KiB
	put := func(s objstore.Store, key string) error {
		return s.PutIfAbsent(ctx, key, bytes.NewReader(value), int64(len(value)))
	}
	same := func(s objstore.Store, key string) error {
		b, _, err := objstore.ReadAll(ctx, s, key)
		if err == nil && !bytes.Equal(b, value) {
			err = errors.New("other bytes came")
		}
		return err
	}
	run := func(t *testing.T, method string, faults []fault, call func(s objstore.Store) error) {
		t.Helper()
		raw, n := faulty(t, server)
		s := objstore.Retry(raw, 20*time.Second)
		n.expect("none")
		if err := put(s, "there"); err != nil {
			t.Fatal(err)
		}
		n.expect(method, faults...)
		if err := call(s); err != nil {
			t.Error(err)
		}
		if n.asked <= len(faults) {
			t.Errorf("%d requests, and %d faults were to be met", n.asked, len(faults))
		}
		n.expect("none")
		if err := same(s, "there"); err != nil {
			t.Error(err)
		}
	}
	for name, faults := range everyFault {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, call := range []struct {
				name, method string
				do           func(s objstore.Store) error
			}{
				{"look before a put", http.MethodHead, func(s objstore.Store) error { return errors.Join(put(s, "looked"), same(s, "looked")) }},
				{"put", http.MethodPut, func(s objstore.Store) error { return errors.Join(put(s, "new"), same(s, "new")) }},
				{"swap", http.MethodPut, func(s objstore.Store) error { _, err := s.Swap(ctx, "HEAD", "", []byte("1")); return err }},
				{"get", http.MethodGet, func(s objstore.Store) error { return same(s, "there") }},
				{"list", http.MethodGet, func(s objstore.Store) error { return s.List(ctx, "", func(string) error { return nil }) }},
				{"remove", http.MethodDelete, func(s objstore.Store) error { return s.Remove(ctx, "other") }},
			} {
				t.Run(call.name, func(t *testing.T) { run(t, call.method, faults, call.do) })
			}
		})
	}
	t.Run("spoiled on the way", func(t *testing.T) {
		run(t, http.MethodPut, []fault{spoils}, func(s objstore.Store) error { return errors.Join(put(s, "new"), same(s, "new")) })
	})
	t.Run("refused half-way", func(t *testing.T) {
		run(t, http.MethodPut, []fault{refusesHalfway, refusesHalfway}, func(s objstore.Store) error {
			large := bytes.Repeat([]byte("0123456789abcdef"), 1<<19) // 8 MiB: more than fits on the way
			err := s.PutIfAbsent(ctx, "large", bytes.NewReader(large), int64(len(large)))
			b, _, gerr := objstore.ReadAll(ctx, s, "large")
			if gerr == nil && !bytes.Equal(b, large) {
				gerr = errors.New("other bytes were stored")
			}
			return errors.Join(err, gerr)
		})
	})
	t.Run("truncated", func(t *testing.T) {
		run(t, http.MethodGet, []fault{truncates, truncates}, func(s objstore.Store) error { return same(s, "there") })
	})
	t.Run("stalled halfway", func(t *testing.T) {
		run(t, http.MethodGet, []fault{stallsHalfway}, func(s objstore.Store) error { return same(s, "there") })
	})
}

// The client library sends a request again whose reply was lost, and calls its own
// success a failed condition. Here it does not, and Retry looks what is there.
func TestALostReplyIsNotAnothersSuccess(t *testing.T) {
	server := s3test.Start(t, false)
	for name, lost := range map[string]fault{"reset": losesReply, "503": losesReply503} {
		t.Run(name, func(t *testing.T) {
			raw, n := faulty(t, server)
			s := objstore.Retry(raw, 20*time.Second)
			n.expect(http.MethodPut, lost)
			tag, err := s.Swap(t.Context(), "HEAD", "", []byte("mine"))
			if err != nil {
				t.Fatal(err)
			}
			n.expect(http.MethodPut, lost)
			if _, err := s.Swap(t.Context(), "HEAD", tag, []byte("mine again")); err != nil {
				t.Errorf("the tag that was found out does not serve: %v", err)
			}
			n.expect(http.MethodPut, lost)
			if err := s.PutIfAbsent(t.Context(), "x", strings.NewReader("x"), 1); !errors.Is(err, objstore.ErrExist) {
				t.Errorf("put: %v, want ErrExist", err)
			}
		})
	}
}

// Above 16 MiB the client library would make a multipart upload, and lose the condition.
func TestALargeObjectIsNotOverwritten(t *testing.T) {
	s := open(t, s3test.Start(t, false))
	large := bytes.Repeat([]byte("x"), 20<<20)
	if err := s.PutIfAbsent(t.Context(), "large", bytes.NewReader(large), int64(len(large))); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			other := bytes.Repeat([]byte{byte(i)}, 20<<20)
			_, errs[i] = s.put(t.Context(), "put large", "large", bytes.NewReader(other), int64(len(other)), sumOf(other), "")
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			t.Error("it was overwritten")
		}
	}
	if b, _, err := objstore.ReadAll(t.Context(), s, "large"); err != nil || !bytes.Equal(b, large) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestAnEndedContextEndsAStalledCall(t *testing.T) {
	s, n := faulty(t, s3test.Start(t, false))
	s.patience = time.Hour
	n.expect(http.MethodGet, stalls)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := s.Get(ctx, "x", 0, -1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want deadline exceeded", err)
	}
}

// A server that sends the whole object where a part was asked for would spoil what is read
// in parts.
func TestAnIgnoredRangeIsAnError(t *testing.T) {
	s, n := faulty(t, s3test.Start(t, false))
	if err := s.PutIfAbsent(t.Context(), "x", strings.NewReader("0123456789"), 10); err != nil {
		t.Fatal(err)
	}
	n.expect(http.MethodGet, ignoresRange)
	if _, _, err := s.Get(t.Context(), "x", 3, 4); err == nil || !strings.Contains(err.Error(), "a range was asked for") {
		t.Errorf("%v", err)
	}
}

func TestAFullBucketTakesAPerson(t *testing.T) {
	raw, n := faulty(t, s3test.Start(t, false))
	s := objstore.Retry(raw, 20*time.Second)
	for _, f := range []fault{answers(507, "InsufficientStorage"), answers(403, "QuotaExceeded")} {
		n.expect(http.MethodPut, f)
		if err := s.PutIfAbsent(t.Context(), "x", strings.NewReader("x"), 1); !errors.Is(err, objstore.ErrFull) || n.asked != 1 {
			t.Errorf("%v after %d requests, want ErrFull after one", err, n.asked)
		}
	}
}
