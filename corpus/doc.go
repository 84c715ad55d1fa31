// Package corpus turns the user's data into tokenized examples.
//
// # How
//
// Read reads the data sets of a recipe into examples of text: what every Go
// installation holds (go:std, go:src), JSON lines, plain text. Split chooses
// what is held out, by groups, so that nothing of a held-out group is trained
// on. Tokenize makes ids of them: prompt and completion, of which the
// completion and the end of text are learnt; or text, put end to end and cut.
// Prepare is the three in a row.
//
// # Failure
//
// Whatever cannot be read as the recipe says is one error that names file,
// line and field. What is left out on purpose (too long, duplicates) is counted
// in the Report. Nothing is skipped silently.
//
// # Who decides
//
// The recipe. The order of examples here is that of the data; package shard
// shuffles. The same data, recipe and tokenizer give the same examples on every
// machine.
package corpus
