package job

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
)

// identityFormat is the version of what Identity hashes.
const identityFormat = 1

// free are the keys that cannot change a bit of what is trained. They may differ
// when a job is resumed. save_dtype only rounds what method full exports.
var free = []string{
	"nodes", "min_nodes", "max_nodes", "algorithm", "store", "save_steps", "save_minutes", "save_total_limit",
	"save_dtype", "logging_steps", "resume_from_checkpoint", "output_dir",
}

// Identity names what a job computes: SHA-256 of the canonical JSON (sorted
// keys, shortest numbers) of the spec's keys that can change a bit of it, with
// the hashes of base model, data and the adapter that it begins as in place of
// their paths.
func (s Spec) Identity(base, data [32]byte) [32]byte {
	m := s.fixed()
	m["format"] = identityFormat
	m["base_model"] = hex.EncodeToString(base[:])
	m["data"] = hex.EncodeToString(data[:])
	return sha256.Sum256(canonical(m))
}

// IdentityDiff returns what makes s and other different jobs: a sentence for
// each key that differs, with both values, sorted by key. What lies under their
// paths is not compared.
func (s Spec) IdentityDiff(other Spec) []string {
	a, b := s.fixed(), other.fixed()
	keys := map[string]bool{}
	for _, m := range []map[string]any{a, b} {
		for key := range m {
			keys[key] = true
		}
	}
	var diff []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !reflect.DeepEqual(a[key], b[key]) {
			diff = append(diff, fmt.Sprintf("%s is %s here and %s there", key, value(a[key]), value(b[key])))
		}
	}
	return diff
}

// value is a key's value as IdentityDiff shows it.
func value(v any) string {
	if v == nil {
		return "not set"
	}
	return string(canonical(v))
}

// fixed returns the keys that can change bits, without paths.
func (s Spec) fixed() map[string]any {
	m := generic(s)
	for _, key := range free {
		delete(m, key)
	}
	delete(m, "version")
	delete(m, "base_model")
	delete(m, "init_sha256")
	if s.InitFrom != "" {
		m["init_from"] = s.InitSHA256
	}
	for _, key := range []string{"datasets", "test_datasets"} {
		list, _ := m[key].([]any)
		for _, d := range list {
			delete(d.(map[string]any), "path")
		}
	}
	return m
}

// generic is the spec as maps, lists and numbers with their text.
func generic(s Spec) map[string]any {
	if s.Datasets == nil {
		s.Datasets = []Dataset{}
	}
	d := json.NewDecoder(bytes.NewReader(s.Encode()))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		panic(fmt.Sprintf("job: a spec's own JSON: %v", err))
	}
	return m
}

// canonical is JSON with sorted keys, no spaces and nothing escaped that need
// not be.
func canonical(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("job: canonical JSON: %v", err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// TotalSteps returns how many updates a job with so many training examples
// makes: max_steps, or as many as num_epochs passes need. Steps go across
// epochs.
func (s Spec) TotalSteps(examples int) uint64 {
	if s.MaxSteps > 0 {
		return uint64(s.MaxSteps)
	}
	seen := uint64(math.Ceil(float64(examples) * s.NumEpochs))
	perStep := uint64(s.Lanes) * uint64(s.MicroBatchSize)
	return (seen + perStep - 1) / perStep
}
