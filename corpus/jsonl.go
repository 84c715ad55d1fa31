package corpus

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// readJSONL reads a file of one JSON object a line. kind "" is found out from
// the first one and returned.
func readJSONL(ctx context.Context, path, kind string) ([]Example, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, kind, err
	}
	defer f.Close()
	var examples []Example
	lines := bufio.NewReaderSize(f, 1<<16)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, kind, err
		}
		if text := bytes.TrimSpace(line); len(text) > 0 {
			x, k, bad := parseRecord(text, kind)
			if bad != nil {
				return nil, kind, fmt.Errorf("line %d: %w", n, bad)
			}
			kind = k
			x.From = fmt.Sprintf("%s:%d", filepath.Base(path), n)
			x.Group = x.From // every record is a group of its own
			examples = append(examples, x)
		}
		if err == io.EOF || ctx.Err() != nil {
			return examples, kind, ctx.Err()
		}
	}
}

// parseRecord reads one record. Keys that its kind does not use are passed over.
func parseRecord(line []byte, kind string) (Example, string, error) {
	var record map[string]any
	if !utf8.Valid(line) {
		return Example{}, kind, errors.New("not UTF-8")
	}
	if err := json.Unmarshal(line, &record); err != nil {
		return Example{}, kind, fmt.Errorf("%w: want one JSON object a line", err)
	}
	if kind == "" {
		var err error
		if kind, err = guess(record); err != nil {
			return Example{}, kind, err
		}
	}
	var x Example
	fields := map[string]*string{"text": &x.Text}
	if kind == TypePairs {
		fields = map[string]*string{"prompt": &x.Prompt, "completion": &x.Completion}
	}
	for _, name := range []string{"text", "prompt", "completion"} {
		if to := fields[name]; to != nil {
			if err := take(record, name, kind, to); err != nil {
				return Example{}, kind, err
			}
		}
	}
	return x, kind, nil
}

// take copies a field. Only a prompt may be empty.
func take(record map[string]any, name, kind string, to *string) error {
	value, ok := record[name]
	text, isText := value.(string)
	switch {
	case !ok:
		return fmt.Errorf("no field %q, which type %s wants; there are %s", name, kind, keys(record))
	case !isText:
		return fmt.Errorf("field %q is %s, want a string", name, jsonKind(value))
	case text == "" && name != "prompt":
		return fmt.Errorf("field %q is empty: nothing to learn", name)
	}
	*to = text
	return nil
}

// guess returns the type of a record by its keys.
func guess(record map[string]any) (string, error) {
	has := func(key string) bool { _, ok := record[key]; return ok }
	switch {
	case has("prompt") && has("completion"):
		return TypePairs, nil
	case has("text"):
		return TypeText, nil
	case has("instruction") || has("messages") || has("conversations") || has("segments") || has("input_ids"):
		return "", fmt.Errorf("records with the keys %s are not read yet: want %q and %q, or %q", keys(record), "prompt", "completion", "text")
	}
	return "", fmt.Errorf("cannot tell the type of a record with the keys %s: want %q and %q, or %q", keys(record), "prompt", "completion", "text")
}

func keys(record map[string]any) string {
	var names []string
	for k := range record {
		names = append(names, fmt.Sprintf("%q", k))
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func jsonKind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case float64:
		return "a number"
	case []any:
		return "a list"
	}
	return "an object"
}
