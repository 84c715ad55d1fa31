// Package corpus turns the user's data into tokenized examples.
//
// # How
//
// Load reads the data sets of a recipe into examples of text: what every Go
// installation holds (go:std, go:src), and files in many formats and shapes. It
// counts duplicates, and holds out what the recipe says, by groups, so that
// nothing of a held-out group is trained on. Resolve finds out what the data is
// for: the task, the classes, their weights. Tokenize makes rows of ids, and
// completes the report; Build writes them as a shard, and Preview shows them as the
// model will see them.
//
// # What a row is, and what of it is learnt
//
// A prompt and a completion: the completion is learnt, and one end of text after
// it; with train_on_inputs the prompt too. Prompt and completion are encoded
// apart. A source and a target are the same where the model has no encoder.
//
// Text is learnt whole. Texts are put end to end, an end of text after each, and
// cut into rows; with sample_packing each is an example of its own.
//
// With task_type masked_lm each text is an example of its own, in the tokenizer's
// frame, and all of it may be hidden and asked for, but for special tokens. Which
// tokens are, package shard draws for each batch.
//
// What the tokenizer puts round a text (<s>, [CLS]) is put there, and not learnt
// before a completion. The end of text is the tokenizer's eos_token. It is added
// unless it stands there: because the tokenizer puts it there, or because the
// text ends in it.
//
// A conversation stands as its chat template writes it. The template alone decides
// about beginnings and ends. What the assistant says is learnt, up to and with
// what ends its turn; with mask_history that of the last turn alone.
//
// A text, or two, with a class or a number stand as the tokenizer frames them;
// nothing is added. The class or the number is learnt. A source for an encoder
// stands the same way, its target too, and ends in an end of text. The target is
// learnt whole.
//
// Padding is never learnt, nor the first token of a row or of a part of a pack:
// nothing comes before it.
//
// # What is too long
//
// Longer than sequence_len: excess_length_strategy leaves it out, cuts its end
// off, or ends with an error. By default texts with a class or a number are cut,
// the longer of two first, texts of masked_lm are cut into pieces, each an example in
// its frame, and everything else is left out. What would have
// nothing to learn after the cut is left out and counted as too long. What is cut
// loses its end of text, so that no model learns to stop in the middle; only
// where the tokenizer frames a text (classes, numbers, sources, targets) the frame
// stays whole.
//
// # Failure
//
// Whatever cannot be read as the recipe says is one error that names file,
// line and field; so is an example with nothing to learn, or one that its chat
// template refuses. With on_bad_row: skip the Report counts them. What is left out on purpose (too long, duplicates) is
// counted, too. Nothing is skipped silently.
//
// # Who decides
//
// The recipe. The order of examples here is that of the data; package shard
// shuffles. The same data, recipe and tokenizer give the same examples on every
// machine.
package corpus
