package node

import (
	"errors"
	"log/slog"
	"net"
	"testing"
)

// A node that is told to leave while it waits for a coordinator leaves.
func TestLeavingWhileItConnects(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	leave := make(chan string, 1)
	go func() { // a coordinator that takes connections and says nothing
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			leave <- "a notice"
		}
	}()
	err = Run(t.Context(), Config{
		Job: "bells", Name: "n1", Hub: true, Coordinators: []string{"nats://" + silent.Addr().String()},
		Leave: leave, Log: slog.New(slog.DiscardHandler),
	})
	if !errors.Is(err, ErrLeft) {
		t.Errorf("it ended with %v, want %v", err, ErrLeft)
	}
}
