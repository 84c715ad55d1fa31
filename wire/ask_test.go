package wire

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/job"
)

func TestAskAndTell(t *testing.T) {
	links, peers := group(t, 2)
	told := make(chan string, 1)
	links[1].Handle("double", func(from job.NodeID, p []byte) ([]byte, error) {
		return append([]byte(from+":"), append(p, p...)...), nil
	})
	links[1].Handle("refuse", func(job.NodeID, []byte) ([]byte, error) { return nil, errors.New("step 7 is not here") })
	links[1].Handle("large", func(job.NodeID, []byte) ([]byte, error) { return make([]byte, 1<<20), nil })
	links[1].Handle("larger", func(job.NodeID, []byte) ([]byte, error) { return make([]byte, maxPayload), nil })
	links[1].Handle("note", func(from job.NodeID, p []byte) ([]byte, error) {
		told <- string(from) + ":" + string(p)
		return nil, nil
	})

	for _, tt := range []struct{ verb, want, err string }{
		{"double", "n0:xx", ""},
		{"refuse", "", "ask n1 for refuse: step 7 is not here"},
		{"large", string(make([]byte, 1<<20)), ""},
		{"larger", "", "ask for it in pieces"},
		{"unknown", "", ErrNoHandler.Error()},
		{"two words", "", "want a word"},
	} {
		got, err := links[0].Ask(within(t, 5*time.Second), peers[1], tt.verb, []byte("x"))
		if string(got) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %.20q, %v; want %.20q, %q", tt.verb, got, err, tt.want, tt.err)
		}
	}
	if err := links[0].Tell(within(t, time.Second), peers[1], "note", []byte("hi")); err != nil {
		t.Fatal(err)
	}
	if got := <-told; got != "n0:hi" {
		t.Errorf("told %q, want n0:hi", got)
	}
}

func TestAskGoesOnWithARestartedNode(t *testing.T) {
	links, peers := group(t, 2)
	echo := func(_ job.NodeID, p []byte) ([]byte, error) { return p, nil }
	links[1].Handle("echo", echo)
	if _, err := links[0].Ask(within(t, time.Second), peers[1], "echo", nil); err != nil {
		t.Fatal(err)
	}
	links[1].Close()
	if _, err := links[0].Ask(within(t, time.Second), peers[1], "echo", nil); err == nil {
		t.Error("a closed node answers")
	}
	again := open(t, "n1b")
	again.Handle("echo", echo)
	if _, err := links[0].Ask(within(t, time.Second), Peer{"n1b", again.Addr()}, "echo", nil); err != nil {
		t.Error(err)
	}
}

func TestManyAskAtOnce(t *testing.T) {
	links, peers := group(t, 2)
	links[1].Handle("echo", func(_ job.NodeID, p []byte) ([]byte, error) { return p, nil })
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			want := bytes.Repeat([]byte{byte(i)}, 1000)
			if got, err := links[0].Ask(within(t, 5*time.Second), peers[1], "echo", want); err != nil || !bytes.Equal(got, want) {
				t.Errorf("question %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	links[0].mu.Lock()
	defer links[0].mu.Unlock()
	if n := len(links[0].questions); n != 1 {
		t.Errorf("%d connections for questions are kept, want 1", n)
	}
}

func TestOpenRefuses(t *testing.T) {
	taken := strings.TrimPrefix(open(t, "first").Addr(), "nats://")
	for _, tt := range []struct{ listen, job, id, want string }{
		{"0.0.0.0:0", "j", "n", "not on loopback"},
		{"192.0.2.7:0", "j", "n", "there is no certificate"},
		{":0", "j", "n", "not on loopback"},
		{"127.0.0.1", "j", "n", "want host:port"},
		{"127.0.0.1:http2", "j", "n", "is not a number"},
		{taken, "j", "n", "address already in use"},
		{"127.0.0.1:0", "j.1", "n", `job id "j.1"`},
		{"127.0.0.1:0", "j", "n 1", `node id "n 1"`},
		{"127.0.0.1:0", "j", "", `node id ""`},
	} {
		l, err := Open(Config{Job: job.ID(tt.job), Self: job.NodeID(tt.id), Listen: tt.listen, Log: quiet})
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("listen %q, job %q, id %q: err = %v, want %q", tt.listen, tt.job, tt.id, err, tt.want)
		}
	}
}
