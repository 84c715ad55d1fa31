package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// specVersion is the version of a spec's JSON, which ledgers and manifests keep.
const specVersion = 2

// plain is a Spec without its methods.
type plain Spec

type encoded struct {
	Version int `json:"version"`
	plain
}

// MarshalJSON writes the spec's keys, and the version of their meaning.
func (s Spec) MarshalJSON() ([]byte, error) { return json.Marshal(encoded{specVersion, plain(s)}) }

// UnmarshalJSON reads what MarshalJSON wrote. Keys and versions that this
// program does not know are errors: another program's job must not be guessed.
func (s *Spec) UnmarshalJSON(b []byte) error {
	var head struct{ Version int }
	if err := json.Unmarshal(b, &head); err != nil {
		return fmt.Errorf("spec: %w", err)
	}
	if head.Version != specVersion {
		return fmt.Errorf("spec: version %d; this program reads %d", head.Version, specVersion)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var e encoded
	if err := d.Decode(&e); err != nil {
		return fmt.Errorf("spec: %w", err)
	}
	*s = Spec(e.plain)
	return nil
}

// Encode returns the spec as JSON. A spec with a number that is none (NaN,
// infinity), which Validate refuses, cannot be encoded and panics.
func (s Spec) Encode() json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("job: encode spec: %v", err))
	}
	return b
}

// DecodeSpec reads a spec that came from elsewhere, and validates it.
func DecodeSpec(b []byte) (Spec, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	var s Spec
	if err := d.Decode(&s); err != nil {
		return Spec{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Spec{}, errors.New("spec: more follows it; want one JSON object")
	}
	if err := s.Validate(); err != nil {
		return Spec{}, fmt.Errorf("spec: %w", err)
	}
	return s, nil
}
