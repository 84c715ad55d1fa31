// Package export makes what others can load from what is saved: a PEFT directory
// of a LoRA adapter, or a full Hugging Face model directory. And it reads adapters
// back.
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
// # Failure
//
// Numbers that are not finite, or not in the wanted type, are refused before
// anything takes the directory's name, and so is a directory that holds anything
// but an earlier export. What an adapter has that is not built is refused by name.
//
// # Who decides
//
// The manifest says what the tensors are; the spec says how they are stored.
package export
