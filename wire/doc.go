// Package wire is what nodes and coordinators say to each other, on NATS.
//
// # How
//
// Every process embeds its own standalone NATS server. To send to a node is to
// be a client of that node's server, which the node reads in-process: one hop,
// no broker, no routes. Three kinds of connection are kept apart, so that none
// delays another:
//
//   - frames: a Mesh's bulk data between the members of one roster;
//   - questions: Ask, Tell and Handle, from node to node (hellos, state);
//   - control: Beat and Request, from a node's Control to every coordinator's
//     Hub, and rosters the other way.
//
// A Mesh cuts messages into frames of at most 60 KiB with a fenced trailer (see
// Frame format in frame.go). NATS gives no back-pressure worth the name, so
// flow is by our own credits: a sender has at most a window of unacknowledged
// bytes under way to each rank, counted anew for each step.
//
// # Failure
//
// A frame of another job, roster, step or attempt is dropped unread. A missing,
// damaged or surplus frame, a broken connection or a deadline ends the exchange
// with a *PeerError that names the suspect, and the mesh with it: nothing is
// sent twice, an aborted mesh stays aborted, and the next roster's mesh starts
// afresh. Data connections never reconnect; a broken one is reported at once,
// since it is how a killed process is noticed within milliseconds. A stopped
// process cannot block a sender: writes have deadlines, and the raw connection
// is closed under a write that outlives its context. Control connections do
// reconnect, and a beat that no coordinator answers is simply followed by the
// next.
//
// # Who decides
//
// Not this package. It carries rosters, beats and orders without knowing what
// they mean. Who may connect, and say what, follows from certificates (gate.go);
// without them it refuses to listen anywhere but on loopback.
package wire
