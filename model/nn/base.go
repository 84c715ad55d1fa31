package nn

import "carillon/job"

// From fills dst with a parameter's first value, drawn from key and taken from the
// base model. The same base and key give the same bits.
type From func(b Base, key job.Key, dst []float32) error

// Base is what a parameter's first value may be taken from.
type Base interface {
	// Vocab returns the number of tokens.
	Vocab() int
	// Weight returns the values of a parameter of the base, by its name.
	Weight(name string) ([]float32, error)
	// Tokens returns the ids of a text, by the tokenizer in the base's directory;
	// special: with what it puts around a text.
	Tokens(text string, special bool) ([]int32, error)
	// Embeddings returns the rows of the token embeddings at ids, one after the other.
	Embeddings(ids []int32) ([]float32, error)
	// KeysValues returns what the base attends to as it reads ids: for each token the
	// keys and values of all layers, [T, 2·layers, H, hd], layer l's at 2l and 2l+1.
	KeysValues(ids []int32) ([]float32, error)
}
