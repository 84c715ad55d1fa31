// Package shard holds a job's tokenized examples in one file, and says which of
// them stand in which row of which lane at which step.
//
// # How
//
// Build writes the examples once, training part first, then the held-out part,
// into a file whose last 32 bytes are the SHA-256 of all before: the data hash.
// Open maps the file, checks the hash and every number in one pass, and never
// reads the source again. Which example a row gets is a pure function of (seed,
// position): a keyed permutation of each epoch without a table, so that Batch
// costs the same at step ten million as at step 0, allocates nothing, and is the
// same on whichever node carries the lane (position.go). So is which class and
// member a balanced row gets, which of its tokens are blanked, and which of a masked
// row's tokens are hidden and asked for (mask.go). What is hidden of a held-out
// example follows from the example alone, so that evaluations can be compared.
//
// Nothing of an open set grows with the number of examples but the map:
// training examples of a class stand together in the file, so that balanced
// sampling needs no list of its members.
//
// # Failure
//
// A file that is cut short, changed or of another version is an error that
// names it and the place; nothing is guessed. Build writes beside the target
// and renames, so a shard is there whole or not at all.
//
// # Who decides
//
// Package corpus decides what an example is, what is held out and what is
// packed. How long a batch is, is decided by the lane's own examples and the
// job's bucket list alone, never by the number of nodes or their memory.
package shard
