package checkpoint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"carillon/job"
	"carillon/objstore"
)

// ChunkSize is the size of all chunks but the last, in bytes. (A single PUT can
// carry it on every S3 server, so no multipart upload is ever needed.)
const ChunkSize = 8 << 20

// Range is the bytes [From, To) of an encoded state.
type Range struct{ From, To int64 }

// Ranges cuts a state of size bytes into chunks.
func Ranges(size int64) []Range {
	var all []Range
	for from := int64(0); from < size; from += ChunkSize {
		all = append(all, Range{from, min(from+ChunkSize, size)})
	}
	return all
}

// Share returns which of a state's chunks the node with a rank among size nodes stores.
func Share(chunks, rank, size int) []int {
	var mine []int
	for i := rank; i < chunks; i += max(size, 1) {
		mine = append(mine, i)
	}
	return mine
}

// HeadKey is where HEAD is, the only object of a job that is ever replaced.
func HeadKey(id job.ID) string { return string(id) + "/HEAD" }

// ShardKey is where the tokenized data set with a hash (hex) is.
func ShardKey(hash string) string { return "shards/" + hash + ".shard" }

// InitKey is where the trainables with a hash (hex) are that a job begins as, if its
// recipe names an adapter: a safetensors file.
func InitKey(hash string) string { return "inits/" + hash + ".safetensors" }

// ModelKey is where the list of a base model's files with a hash (hex) is.
func ModelKey(hash string) string { return "models/" + hash + ".json" }

// ModelPieceKey is where the piece of a base model's file with a hash (hex) is.
func ModelPieceKey(hash string) string { return "models/pieces/" + hash }

// manifestMark begins the last part of a manifest's key.
const manifestMark = "manifest-"

func manifestKey(id job.ID, generation, step uint64, sum string) string {
	return folder(id, generation, step) + manifestMark + sum + ".json"
}

func chunkKey(id job.ID, generation, step uint64, sum string) string {
	return folder(id, generation, step) + sum
}

// folder is what the keys of a checkpoint begin with. Nothing is shared between
// checkpoints: every trainable changes at every step.
func folder(id job.ID, generation, step uint64) string {
	return string(id) + "/" + Name(generation, step) + "/"
}

// Name is a checkpoint's name, as in its keys: generation and step.
func Name(generation, step uint64) string { return fmt.Sprintf("%d-%010d", generation, step) }

// parseName is the inverse of Name.
func parseName(name string) (generation, step uint64, ok bool) {
	g, s, _ := strings.Cut(name, "-")
	generation, gerr := strconv.ParseUint(g, 10, 64)
	step, serr := strconv.ParseUint(s, 10, 64)
	return generation, step, gerr == nil && serr == nil && Name(generation, step) == name
}

// manifestSum returns the hash in a manifest's key.
func manifestSum(key string) (sum string, ok bool) {
	_, file, _ := strings.Cut(key[strings.LastIndexByte(key, '/')+1:], manifestMark)
	sum, ok = strings.CutSuffix(file, ".json")
	return sum, ok && isSum(sum)
}

// isSum says whether s is a SHA-256 in hex.
func isSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && strings.ToLower(s) == s
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// PutChunk stores one chunk of the state after step and returns its SHA-256 in
// hex. A chunk that is there already is success.
func PutChunk(ctx context.Context, store objstore.Store, id job.ID, generation, step uint64, data []byte) (sum string, err error) {
	sum = sumOf(data)
	return sum, put(ctx, store, chunkKey(id, generation, step, sum), data)
}

// put stores an object that is named by its content.
func put(ctx context.Context, store objstore.Store, key string, data []byte) error {
	err := store.PutIfAbsent(ctx, key, bytes.NewReader(data), int64(len(data)))
	if errors.Is(err, objstore.ErrExist) {
		return nil
	}
	return err
}
