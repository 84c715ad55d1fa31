// Package coordinator is one of the processes that keep a job together: a voter
// of the ledger, and a hub to which the nodes' beats come. It is wiring: who
// trains next is roster's rule, what was agreed on is the ledger's, and in which
// order a checkpoint is written is checkpoint's.
//
// # How
//
// All coordinators listen; one of them leads. To the leader come the beats of all
// nodes, and it answers each from memory. At every event, and every 50 ms, it
// looks at what it knows and decides: a roster, an end, a checkpoint that is
// whole. A decision is an entry proposed to the ledger, and takes hold when it is
// applied; every coordinator that applies a roster publishes it. The leader also
// writes the object store's HEAD and the metrics file.
//
// # Failure
//
// Beats live in memory only: each says everything, so a new leader knows all
// after one round of them. Until it has heard of a node it takes it to be alive.
// While nobody leads the nodes go on training; only membership and checkpoints
// wait. What a leader left half done is in the ledger (a whole checkpoint that
// HEAD does not name yet) or comes again with the next beats. A leader that was
// deposed without knowing it is refused by HEAD's order and by the metrics file's
// lock.
//
// # Who decides
//
// The leader alone, and only through the ledger. The coordinators that train starts
// keep one job; those of a cluster (Config.Council) lead one after another, in the
// order of their submission.
package coordinator
