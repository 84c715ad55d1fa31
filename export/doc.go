// Package export makes what others can load from what is saved: the directory of an
// adapter as PEFT has it (LoRA, IA3, prompts, prefixes) or AdapterHub (bottlenecks), or
// a whole Hugging Face model, of all weights that were trained or of a base with an
// adapter merged into it. And it reads adapters back, its own and theirs, for who asks
// a model, merges, or goes on training.
//
// # How
//
// FromStore takes the newest checkpoint of a job and writes its trainables by the
// spec and the tensor list in the manifest: never from the memory of a node, so
// what is exported is what is saved. The result is named by the SHA-256 of its
// weights file, in which there is no time, path or version: the same job gives the
// same hash wherever it ran. A directory appears whole or not at all, under a
// temporary name first; an earlier export of the same name is replaced at once.
//
// Open reads an adapter of either library into the words of our recipes and the names
// that our methods train under. Begin makes of it what a job begins as (init_from): one
// file that is the same wherever the adapter came from.
//
// # Failure
//
// Numbers that are not finite, or not in the wanted type, are refused before
// anything takes the directory's name, and so is a directory that holds anything
// but an earlier export. What an adapter has that is not built is refused by name, and
// so is an adapter for another base: by its hash where ours says it, else by what does
// not fit.
//
// # Who decides
//
// The manifest says what the tensors are; the spec says how they are stored.
package export
