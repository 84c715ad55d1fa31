// Package tokenizer turns text into token ids and back, as the tokenizer.json
// of a Hugging Face directory says, and trains such a file from text.
//
// # How
//
// Byte-level BPE: text is cut into words (split.go), each word's bytes are
// tokens to start with, and the pair of neighbours that stands first in the
// list of merges is joined until none is left (bpe.go). Words repeat, so their
// ids are remembered. Added tokens such as <|endoftext|> are found in the text
// before anything else (added.go). Ids are those of the Hugging Face
// tokenizers library; no bytes are ever lost: Decode(Encode(s)) is s, valid
// UTF-8 or not.
//
// # Failure
//
// A kind of model, normalizer, pre-tokenizer or option that this package does
// not know is an error that names it, since the wrong ids train a wrong model
// silently. A damaged file is an error that names the file and the place.
//
// # Who decides
//
// The file alone. Whether an end of text follows an example is package
// corpus's business; so Encode adds no special tokens.
package tokenizer
