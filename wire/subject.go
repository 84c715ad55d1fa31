package wire

import (
	"fmt"
	"strings"
	"unicode"

	"carillon/job"
)

// The subjects. Those of a node begin with the job and the node, so that a
// process which got a dead node's port is not taken for it, and so that several nodes can
// be reached at one server (relay.go). Who speaks comes last:
// where there are certificates the server lets each speak as itself only.
//
//	carillon.<job>.<node>.greet.<from>      version handshake
//	carillon.<job>.<node>.frame.<from>      frames of a peer
//	carillon.<job>.<node>.ask.<verb>.<from> questions
//	carillon.control.beat.<node>            beats, to a coordinator
//	carillon.control.ask.<verb>             requests of users, to a coordinator
//	carillon.control.voter.<verb>           requests of other coordinators
//	carillon.control.renew.<machine>        a node's certificate ends soon
//	carillon.control.join                   a machine that has only a token
//	carillon.control.roster.<job>           rosters, from a coordinator
const controlPrefix = "carillon.control."

func nodeSubject(j job.ID, n job.NodeID, rest string) string {
	return "carillon." + string(j) + "." + string(n) + "." + rest
}

func greetSubject(j job.ID, n, from job.NodeID) string {
	return nodeSubject(j, n, "greet."+string(from))
}

func frameSubject(j job.ID, n, from job.NodeID) string {
	return nodeSubject(j, n, "frame."+string(from))
}

func askSubject(j job.ID, n job.NodeID, verb string, from job.NodeID) string {
	return nodeSubject(j, n, "ask."+verb+"."+string(from))
}

func beatSubject(n job.NodeID) string { return controlPrefix + "beat." + string(n) }

func renewSubject(machine string) string { return controlPrefix + "renew." + machine }

const joinSubject = controlPrefix + "join"

func rosterSubject(j job.ID) string { return controlPrefix + "roster." + string(j) }

// checkToken refuses what cannot be one token of a subject.
func checkToken(what, s string) error {
	bad := func(r rune) bool { return strings.ContainsRune(".*>", r) || unicode.IsSpace(r) || unicode.IsControl(r) }
	if s == "" || strings.ContainsFunc(s, bad) {
		return fmt.Errorf("%s %q: want a word without spaces, control characters and any of . * >", what, s)
	}
	return nil
}
