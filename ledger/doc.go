// Package ledger is what the coordinators of a cluster agree on: which jobs
// there are, who trains together, and which checkpoints are whole.
//
// # How
//
// State is a plain struct that changes by applying Entries, one after another.
// A Ledger replicates the entries to all coordinators by raft (hashicorp/raft,
// with raft-wal as its log) over TCP, so that each applies the same entries in
// the same order. Entries are a few KiB at most: what is large lies in the
// object store, and the ledger knows its hash.
//
// # Failure
//
// With three voters one may die; with one, its disk is the ledger. A proposal
// whose leader dies may or may not be applied later, so every entry can be
// proposed again: applied twice, it changes nothing more, or is void. An entry
// that no longer fits (decided on an older state) is void: it is in the log, and
// changes nothing. A voter whose folder is lost must not come back under its
// name: its promises went with it. If the ledger as a whole is lost, the next
// one claims a higher incarnation from the object store.
//
// # Who decides
//
// Not this package. The leader of the coordinators proposes what roster.Next
// and the beats tell it; State.Apply only refuses what contradicts the ledger.
// No clock is read and nothing is random in Apply: the time of an event is in
// its entry.
package ledger
