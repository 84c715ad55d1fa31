// Package checkpoint is the law of what is saved: what a checkpoint consists of,
// in which order it is written and removed, and how it is read back.
//
//	A manifest names only chunks that are stored. HEAD names only a manifest that
//	is stored. Removal goes the other way round.
//
// # How
//
// A state (trainables and moments, see EncodeState) is cut into chunks by size
// alone. Each is stored once under <job>/<generation>-<step>/<sha256>, by
// whichever node has it. When all are there, Commit stores the manifest, whose
// name holds its own hash, and then moves <job>/HEAD to it by compare-and-swap.
// Only what HEAD names is saved. The bytes are laid down in docs/format.md.
//
// # Failure
//
// Whatever is cut off, wherever, the store obeys the law and the same call may be
// made again. A leader that has been deposed is refused (ErrDeposed), so is a
// checkpoint older than what is saved (ErrVoid). Everything that is read is
// verified; what does not verify is an error that names the object.
//
// # Who decides
//
// The ledger decides which checkpoints are complete, which generation counts and
// which names may be removed, before this package is called.
package checkpoint
