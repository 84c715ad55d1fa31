package spot

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carillon/testtool"
)

// first returns the first notice of a cloud for which it is.
func first(t *testing.T, watch func(ctx context.Context, told func(Notice)), is func(Notice) bool) Notice {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	got := make(chan Notice, 16)
	done := make(chan struct{})
	go func() { defer close(done); watch(ctx, func(n Notice) { got <- n }) }()
	defer func() { cancel(); <-done }()
	for {
		select {
		case n := <-got:
			if is(n) {
				return n
			}
		case <-ctx.Done():
			t.Fatal("no such notice came")
		}
	}
}

func leaves(n Notice) bool  { return n.Leave }
func advises(n Notice) bool { return !n.Leave }

// AWS's own mock of the service, which wants a session's token as the real one does.
func TestAWS(t *testing.T) {
	program := testtool.Build(t, "github.com/aws/amazon-ec2-metadata-mock", "cmd/ec2-metadata-mock")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	cmd := exec.Command(program, "spot", "--action", "terminate", "--hostname", host, "--port", port, "--mock-delay-sec", "1", "--imdsv2", "--time", "2026-11-27T12:00:00Z")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+net.JoinHostPort(host, port))
	watch := func(ctx context.Context, told func(Notice)) { Watch(ctx, AWS, told) }
	n := first(t, watch, leaves)
	if n.Event != "spot interruption (terminate)" || !n.At.Equal(time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", n)
	}
	if got := n.String(); got != "aws: spot interruption (terminate) at 12:00:00 UTC" {
		t.Errorf("%q", got)
	}
	if n := first(t, watch, advises); !strings.Contains(n.Event, "rebalance") {
		t.Errorf("%+v", n)
	}
}

// googleServer speaks the metadata server's protocol: a value with its ETag, and an answer
// that waits for a change.
func googleServer(t *testing.T) (told chan string) {
	told = make(chan string, 1)
	gone := make(chan struct{})
	var waits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Metadata-Flavor") != "Google":
			w.WriteHeader(http.StatusForbidden)
			return
		case r.URL.Path == "/computeMetadata/v1/instance/maintenance-event":
			w.Header().Set("ETag", "m")
			if r.FormValue("wait_for_change") == "true" {
				<-gone
			}
			fmt.Fprint(w, "NONE")
			return
		case r.FormValue("wait_for_change") != "true":
			w.Header().Set("ETag", "1")
			fmt.Fprint(w, "FALSE")
			return
		}
		if r.FormValue("last_etag") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		waits.Add(1)
		select {
		case v := <-told:
			w.Header().Set("ETag", "2")
			fmt.Fprint(w, v)
		case <-gone:
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(gone) })
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(server.URL, "http://"))
	return told
}

func TestGoogle(t *testing.T) {
	told := googleServer(t)
	told <- "TRUE"
	n := first(t, func(ctx context.Context, told func(Notice)) { Watch(ctx, Google, told) }, leaves)
	if n.Event != "preempted" || n.Cloud != Google {
		t.Errorf("%+v", n)
	}
}

// Azure tells of other machines too, and answers nobody who comes by a proxy's headers.
func TestAzure(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Metadata") != "true":
			w.WriteHeader(http.StatusBadRequest)
		case strings.HasSuffix(r.URL.Path, "/compute/name"):
			fmt.Fprint(w, "vm_1")
		case asked.Add(1) == 1:
			fmt.Fprint(w, `{"DocumentIncarnation":1,"Events":[]}`)
		default:
			fmt.Fprint(w, `{"DocumentIncarnation":2,"Events":[
				{"EventId":"a","EventType":"Preempt","ResourceType":"VirtualMachine","Resources":["vm_0"],"EventStatus":"Scheduled","NotBefore":"Mon, 11 Apr 2026 22:26:58 GMT"},
				{"EventId":"b","EventType":"Freeze","Resources":["vm_1"],"NotBefore":""},
				{"EventId":"c","EventType":"Preempt","Resources":["vm_1"],"NotBefore":"Mon, 11 Apr 2026 22:27:58 GMT"}]}`)
		}
	}))
	t.Cleanup(server.Close)
	watch := func(ctx context.Context, told func(Notice)) { watchAzure(ctx, server.URL, told) }
	if n := first(t, watch, leaves); n.Event != "preempt" || n.At.Second() != 58 || n.At.Minute() != 27 {
		t.Errorf("%+v", n)
	}
	if n := first(t, watch, advises); n.Event != "freeze" {
		t.Errorf("%+v", n)
	}
}

func TestANoticeIsToldOnce(t *testing.T) {
	var asked atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(w, "token")
		case strings.HasSuffix(r.URL.Path, "instance-action"):
			if asked.Add(1) == 3 {
				cancel()
			}
			fmt.Fprint(w, `{"action":"stop","time":"2026-11-27T12:00:00Z"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
	told := 0
	Watch(ctx, AWS, func(Notice) { told++ })
	if told != 1 || asked.Load() < 3 {
		t.Errorf("told %d times of %d answers, want once", told, asked.Load())
	}
}

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		files map[string]string
		want  Cloud
	}{
		{map[string]string{"sys_vendor": "Amazon EC2\n"}, AWS},
		{map[string]string{"sys_vendor": "Xen\n", "product_version": "4.11.amazon\n"}, AWS},
		{map[string]string{"sys_vendor": "Google\n"}, Google},
		{map[string]string{"sys_vendor": "Microsoft Corporation\n", "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77\n"}, Azure},
		{map[string]string{"sys_vendor": "Microsoft Corporation\n"}, None}, // a Hyper-V of one's own
		{nil, None},
	} {
		dir := t.TempDir()
		for name, text := range tt.files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := detect(dir); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.files, got, tt.want)
		}
	}
}

func TestParseCloud(t *testing.T) {
	for _, text := range []string{"auto", "aws", "gcp", "azure", "off"} {
		if _, err := ParseCloud(text); err != nil {
			t.Error(err)
		}
	}
	if _, err := ParseCloud("ibm"); err == nil || !strings.Contains(err.Error(), "auto, aws, gcp, azure, off") {
		t.Errorf("%v", err)
	}
}
