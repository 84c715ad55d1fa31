// Package safetensors reads and writes files in the safetensors format
// (https://github.com/huggingface/safetensors#format): an 8-byte length, a JSON
// header of names, types, shapes and offsets, and the numbers.
//
// # How
//
// A file is mapped into memory and checked whole before anything of it is used:
// every offset, every size, that no two tensors overlap and that no byte belongs
// to none. Float32 turns F32, F16 and BF16 into float32, exactly. OpenDir opens
// the one or many files of a Hugging Face directory as one.
//
// Write has one layout: tensors by name, compact JSON, the header padded with
// spaces to 8 bytes, metadata {"format":"pt"}. So equal tensors give equal bytes.
//
// # Failure
//
// A damaged file is one error that names the file, the tensor and what would be
// right. A written file is there whole or not at all.
package safetensors
