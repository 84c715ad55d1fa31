package export

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/methods"
	"carillon/safetensors"
)

// Beginning is what a job begins as where its recipe says init_from: the trainables
// that an adapter holds, as one file that is the same wherever the adapter came from.
type Beginning struct {
	File   string // safetensors, float32, by the names that the job trains; "": it begins by itself
	SHA256 string // of File, in hex: init_sha256
	Note   string // for people: what begins anew; "" if nothing does
}

// Adopt returns a spec with what its recipe leaves to the adapter that it begins as:
// the section that configures the method.
func Adopt(spec job.Spec) (job.Spec, error) {
	if spec.InitFrom == "" {
		return spec, nil
	}
	info, _, err := openFrom(spec)
	if err != nil {
		return spec, err
	}
	return spec.WithSectionOf(info.Spec), nil
}

// openFrom opens the adapter that a job begins as, which is of the job's method.
func openFrom(spec job.Spec) (AdapterInfo, []safetensors.Tensor, error) {
	info, tensors, err := Open(spec.InitFrom)
	if err != nil {
		return info, nil, fmt.Errorf("init_from: %w", err)
	}
	if info.Spec.Method != spec.Method {
		return info, nil, fmt.Errorf("init_from: %s is an adapter of method %s; want method: %[2]s, not %s", spec.InitFrom, info.Spec.Method, spec.Method)
	}
	return info, tensors, nil
}

// Begin makes the beginning of a job from the adapter that its recipe names: each of
// the job's trainables, in its shape, of an adapter that computes what the job's
// section says. base is the base hash of the job. A classifier's head may be missing, or be for other classes: then
// the job's begins as it would by itself.
func Begin(spec job.Spec, base [sha256.Size]byte, trainables []checkpoint.Param) (Beginning, error) {
	if spec.InitFrom == "" {
		return Beginning{}, nil
	}
	info, tensors, err := openFrom(spec)
	if err != nil {
		return Beginning{}, err
	}
	var b Beginning
	if err = info.CheckBase(spec.BaseModel, base); err == nil {
		b, err = begin(spec, info, tensors, trainables)
	}
	if err != nil {
		return Beginning{}, fmt.Errorf("init_from: %s: %w", spec.InitFrom, err)
	}
	return b, nil
}

func begin(spec job.Spec, info AdapterInfo, tensors []safetensors.Tensor, trainables []checkpoint.Param) (b Beginning, err error) {
	if spec.Prefix != nil && spec.Prefix.PrefixProjection {
		return b, fmt.Errorf("it holds a prefix without the network that made it; leave prefix.prefix_projection out")
	}
	tensors, trainables, b.Note = sameHead(spec, info.Spec, tensors, trainables)
	if err := fit(tensors, trainables); err != nil {
		return b, fmt.Errorf("it does not fit base_model %s (it says that it was made for %q): %w", spec.BaseModel, info.Base, err)
	}
	if err := agree(spec, info.Spec, tensors); err != nil {
		return b, err
	}
	if b.File, b.SHA256, err = File(tensors); err != nil {
		return b, err
	}
	if spec.InitSHA256 != "" && spec.InitSHA256 != b.SHA256 {
		return b, fmt.Errorf("it has SHA-256 %s, and init_sha256 is %s; leave the key out to take what is there", b.SHA256, spec.InitSHA256)
	}
	return b, nil
}

// File makes the file that a job begins as of an adapter's tensors, and its SHA-256 in
// hex.
func File(tensors []safetensors.Tensor) (file, sum string, err error) {
	var b strings.Builder
	if err := safetensors.Write(&b, safetensors.F32, tensors); err != nil {
		return "", "", err
	}
	h := sha256.Sum256([]byte(b.String()))
	return b.String(), hex.EncodeToString(h[:]), nil
}

// sameHead leaves the head out of both where the adapter's is not the job's.
func sameHead(spec, from job.Spec, tensors []safetensors.Tensor, trainables []checkpoint.Param) ([]safetensors.Tensor, []checkpoint.Param, string) {
	theirs, adapter := apart(tensors, func(t safetensors.Tensor) string { return t.Name })
	ours, others := apart(trainables, func(p checkpoint.Param) string { return p.Name })
	if fit(theirs, ours) == nil && sameLabels(from.Labels, spec.Labels) {
		return tensors, trainables, ""
	}
	note := fmt.Sprintf("the head of %s is not used: it is for labels %q, and the job's for %q", spec.InitFrom, from.Labels, spec.Labels)
	switch {
	case len(theirs) == 0:
		note = fmt.Sprintf("%s has no head: the job's begins anew", spec.InitFrom)
	case len(ours) == 0:
		note = fmt.Sprintf("the head of %s is not used: the job has none", spec.InitFrom)
	}
	return adapter, others, note
}

// apart parts what is of a classifier's head from what is not.
func apart[T any](list []T, name func(T) string) (head, rest []T) {
	for _, x := range list {
		bare := strings.TrimPrefix(strings.TrimPrefix(name(x), softPrefix), "model.")
		module, _, _ := strings.Cut(bare, ".")
		if slices.ContainsFunc(savedModules, func(end string) bool { return strings.HasSuffix(module, end) }) {
			head = append(head, x)
		} else {
			rest = append(rest, x)
		}
	}
	return head, rest
}

// sameLabels says whether a head's outputs may mean what a job's do. Numbered ones
// may mean anything.
func sameLabels(theirs, ours []string) bool {
	for i := range theirs {
		if len(theirs) != len(ours) || theirs[i] != ours[i] && theirs[i] != fmt.Sprintf("LABEL_%d", i) {
			return false
		}
	}
	return true
}

// fit says how tensors differ from what is to be trained.
func fit(tensors []safetensors.Tensor, trainables []checkpoint.Param) error {
	given := make(map[string]safetensors.Tensor, len(tensors))
	for _, t := range tensors {
		given[t.Name] = t
	}
	var wrong []string
	for _, p := range trainables {
		t, ok := given[p.Name]
		if delete(given, p.Name); !ok {
			wrong = append(wrong, p.Name+" is missing")
		} else if !slices.Equal(t.Shape, p.Shape) {
			wrong = append(wrong, fmt.Sprintf("%s is %v, want %v", p.Name, t.Shape, p.Shape))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		wrong = append(wrong, name+" is not trained by the job")
	}
	const most = 3
	if more := len(wrong) - most; more > 0 {
		wrong = append(wrong[:most], fmt.Sprintf("and %d more", more))
	}
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(wrong, "; "))
}

// agree says where a job's section computes something else of the same tensors than
// the adapter's does.
func agree(spec, from job.Spec, tensors []safetensors.Tensor) error {
	switch {
	case spec.LoRA != nil && from.LoRA != nil:
		return sameScale(spec, from, tensors)
	case spec.Bottleneck != nil && from.Bottleneck != nil:
		return sameBottleneck(*spec.Bottleneck, *from.Bottleneck)
	}
	return nil // the tensors say it all
}

func sameScale(spec, from job.Spec, tensors []safetensors.Tensor) error {
	ours, err := methods.New(spec)
	if err != nil {
		return err
	}
	theirs, err := methods.New(from)
	if err != nil {
		return err
	}
	for _, t := range tensors {
		path, _, ok := correction(t.Name)
		if a, b := ours.(methods.LoRA).Scale(path), theirs.(methods.LoRA).Scale(path); ok && a != b {
			return fmt.Errorf("it multiplies the correction of %s by %v, and the recipe's section lora (lora_alpha, use_rslora, alpha_pattern) by %v; leave the section out to take the adapter's", path, b, a)
		}
	}
	return nil
}

// sameBottleneck compares what shapes and names do not tell.
func sameBottleneck(ours, theirs job.Bottleneck) error {
	a, err := bottleneckKeys(ours)
	if err != nil {
		return err
	}
	b, err := bottleneckKeys(theirs)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if x, y := string(a[key]), string(b[key]); x != y {
			return fmt.Errorf("%s is %s in it, and %s by the recipe's section bottleneck; leave the section out to take the adapter's", key, y, x)
		}
	}
	return nil
}

// bottleneckKeys says a section in AdapterHub's words, but for sizes, places and first
// values.
func bottleneckKeys(b job.Bottleneck) (keys map[string]json.RawMessage, err error) {
	c := bottleneckOf(b, 1)
	c.ReductionFactor, c.LeaveOut, c.InitWeights = factors{}, nil, ""
	text, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(text, &keys)
	}
	return keys, err
}
