package node

import (
	"errors"
	"log/slog"
	"net"
	"testing"

	"carillon/job"
	"carillon/roster"
)

// A node that is let in and left out again and again, and makes no step, is of no use
// where it is.
func TestWelcome(t *testing.T) {
	with, without := []roster.Member{{ID: "a"}, {ID: "me"}}, []roster.Member{{ID: "a"}}
	number := uint32(0)
	var w welcome
	tell := func(members []roster.Member) bool {
		number++
		return w.heed(roster.Roster{Number: job.RosterNumber{Incarnation: 1, Count: number}, Members: members}, "me")
	}
	for i, row := range []struct {
		members []roster.Member
		stepped bool
		useless bool
	}{
		{members: without},                              // it is new
		{members: with}, {members: with, stepped: true}, // others change
		{members: without},                  // the first time
		{members: without}, {members: with}, //
		{members: with, stepped: true},      // it was heard
		{members: without}, {members: with}, // once
		{members: without, useless: true}, // twice
	} {
		if got := tell(row.members); got != row.useless {
			t.Errorf("roster %d: %v, want %v", i, got, row.useless)
		}
		if row.stepped {
			w.leftOut = 0
		}
	}
	number = 1
	if w = (welcome{newest: job.RosterNumber{Incarnation: 1, Count: 5}, in: true, leftOut: 1}); tell(without) {
		t.Error("an old roster counts")
	}
}

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
