// Package allreduce adds a vector up across the nodes of a roster, so that every
// node ends with the same integers, bit for bit, however many nodes there are
// and in whatever order they add.
//
// # Numbers
//
// A gradient is a flat []float32, cut in blocks of 256. First the nodes agree on
// one exponent a block, the largest in any lane of any node (MaxExponents,
// Agree). Then each lane is rounded to integers on that shared scale (SumLanes);
// integers may be added in any grouping. The finished sum is rounded once more
// to the codec's width (Requantize, q8 only) and read back as float32
// (Dequantize). A block whose exponent is 0 is absent: all zeros, not sent.
// DESIGN.md, sections 4 and 9, defines every bit; golden values hold them here.
//
// # Algorithms
//
// The present blocks are cut in one piece a rank (Cut). Ring passes partial sums
// to the right N-1 times and finished pieces N-1 times more: fewest bytes in
// flight at once. TwoShot sends each piece straight to its owner, who sends the
// finished piece to all: two latencies. FanOut sends everything to everybody:
// one latency, for tiny vectors and two nodes. The algorithm never changes bits.
//
// # Failure
//
// Nothing here retries, skips a rank or waits longer than its context. The first
// error ends the call on the rank that meets it, and that rank's vector must be
// thrown away; a message that does not parse is such an error. Other ranks may
// have finished already, and hold the true sum. Who takes part, and which step
// to go on from, is decided elsewhere; so is what the bytes travel on (Mesh).
package allreduce
