// Package tokenizer turns text into token ids and back, as the tokenizer.json
// of a Hugging Face directory says, or its SentencePiece model where that is
// all there is, and trains byte-level BPE from text. Ids, pairs and decoded
// text are those of the Hugging Face tokenizers library.
//
// # How
//
// A text goes through the steps that the file lists. Added tokens such as
// <|endoftext|> are found in the text as it is (added.go). The stretches
// between are normalized (normalize.go), more added tokens are found in the
// normalized text, and what is left is cut into words (pretokenize.go;
// encode.go is the whole way). A word's ids are the model's: byte-level BPE
// (bpe.go), BPE over characters with byte fallback (charbpe.go), WordPiece or
// Unigram. Words repeat, so their ids are remembered. Special tokens are put
// around one text or two by Single, Pair and EncodePair (template.go, pair.go).
// The way back is a chain of decoders, the same for Decode and for Stream,
// which gives out text while ids come.
//
// Time is linear in the length of a text, and n log n in that of a word. The
// expressions of GPT-2, Llama 3 and Qwen2 are cut by hand; any other expression
// is matched, and takes what it takes.
//
// tokenizer_config.json and its neighbours name the special tokens and the chat
// template, and for some classes replace what tokenizer.json says, as they do
// in transformers 4.57 (config.go): add_bos_token and add_eos_token of Llama's,
// do_lower_case of BERT's, add_prefix_space of ByteLevel. Not followed are
// truncation and padding, since lengths are the recipe's, and
// clean_up_tokenization_spaces, which would change what a model wrote.
//
// # Text that is not UTF-8
//
// Where the file has a ByteLevel step no byte is lost: without a normalizer
// Decode(Encode(s)) is s for any bytes. Elsewhere each byte that is no UTF-8
// counts as U+FFFD. Of lone surrogates there are none in UTF-8: their bytes are
// such bytes.
//
// # Failure
//
// A kind of model, normalizer, pre-tokenizer, post-processor or decoder, or an
// option, that this package does not know is an error that names it, since the
// wrong ids train a wrong model silently. A damaged file is an error that names
// the file and the place. Encoding itself cannot fail, but for a pair that
// cannot be cut to fit.
//
// # Who decides
//
// The files alone. Which special tokens go into an example is package corpus's
// business; so Encode adds none.
package tokenizer
