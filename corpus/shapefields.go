package corpus

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"carillon/job"
)

// naming is a field that the recipe names.
type naming struct{ key, field string }

// fieldsNamed lists what the recipe names, in the order of its keys.
func fieldsNamed(d job.Dataset) []naming {
	all := []naming{
		{keyText, d.FieldText}, {keyText2, d.FieldText2}, {keyPrompt, d.FieldPrompt}, {keyCompletion, d.FieldCompletion},
		{keyInstruction, d.FieldInstruction}, {keyInput, d.FieldInput}, {keyOutput, d.FieldOutput}, {keySystem, d.FieldSystem},
		{keyMessages, d.FieldMessages}, {keyRole, d.FieldRole}, {keyContent, d.FieldContent}, {keyLabel, d.FieldLabel},
		{keySource, d.FieldSource}, {keyTarget, d.FieldTarget},
	}
	return slices.DeleteFunc(all, func(n naming) bool { return n.field == "" })
}

// checkNamed is an error for a named field that none of the first rows has. The
// fields of messages are checked where the messages are known.
func checkNamed(named []naming, first []row) error {
	there := fieldsOf(first)
	for _, n := range named {
		if n.key == keyRole || n.key == keyContent {
			continue
		}
		if has(first, n.field) {
			continue
		}
		return fmt.Errorf("%s: no field %q in the first records; there are %s", n.key, n.field, list(there, n.field))
	}
	return nil
}

// has says whether a row has the field, inside an object too ("translation.en").
func has(rows []row, field string) bool {
	return slices.ContainsFunc(rows, func(r row) bool { _, ok := lookUp(r.fields, field); return ok })
}

// lookUp returns a field, or, by a name with a dot in it, the field of an object.
func lookUp(fields map[string]any, name string) (any, bool) {
	if v, ok := fields[name]; ok {
		return v, true
	}
	outer, inner, _ := strings.Cut(name, ".")
	object, ok := fields[outer].(map[string]any)
	if !ok || inner == "" {
		return nil, false
	}
	return lookUp(object, inner)
}

// fieldsFor returns the names among which the field of a part is looked for:
// those of the first rows, or of their messages.
func fieldsFor(key string, s shape, first []row) map[string]bool {
	if key != keyRole && key != keyContent {
		return fieldsOf(first)
	}
	there := map[string]bool{}
	for _, r := range first {
		value, _ := lookUp(r.fields, s.fields[keyMessages])
		messages, _ := value.([]any)
		for _, m := range messages {
			object, _ := m.(map[string]any)
			for name := range object {
				there[name] = true
			}
		}
	}
	return there
}

// fieldsOf returns the names of the fields that rows have.
func fieldsOf(rows []row) map[string]bool {
	there := map[string]bool{}
	for _, r := range rows {
		for name := range r.fields {
			there[name] = true
		}
	}
	return there
}

// list writes names, the nearest to what was looked for first, if anything was.
func list(there map[string]bool, wanted string) string {
	const most = 20
	if len(there) == 0 {
		return "none"
	}
	names := slices.SortedFunc(maps.Keys(there), func(a, b string) int {
		return cmp.Or(distance(a, wanted)-distance(b, wanted), strings.Compare(a, b))
	})
	var quoted []string
	for _, name := range names[:min(len(names), most)] {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	text := strings.Join(quoted, ", ")
	if n := len(names) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// distance says how far a name is from what was looked for; that of a very long
// one is not worth counting.
func distance(a, b string) int {
	if len(a) > 100 || len(b) > 100 || b == "" {
		return 100
	}
	return levenshtein.ComputeDistance(a, b)
}

// whatIs names the kind of a value of a row, and the value where it is short.
func whatIs(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return fmt.Sprintf("the boolean %t", v)
	case json.Number:
		return fmt.Sprintf("the number %.40s", v)
	case []any:
		return "a list"
	case []byte:
		return "bytes"
	}
	return "an object"
}
