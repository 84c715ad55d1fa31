package corpus

import (
	"reflect"
	"testing"
)

// Whatever is changed in an example, but for its place, changes the hash: also what
// is added to the type later.
func TestEverythingIsInTheHash(t *testing.T) {
	hash := func(x Example) [32]byte { return (&Reading{examples: []Example{x, {}}}).Hash() }
	seen := map[[32]byte]string{hash(Example{}): "nothing"}
	for i := range reflect.TypeFor[Example]().NumField() {
		var x Example
		name := reflect.TypeFor[Example]().Field(i).Name
		change(t, reflect.ValueOf(&x).Elem().Field(i))
		before, known := seen[hash(x)]
		if name == "From" {
			if before != "nothing" {
				t.Errorf("the place changes the hash")
			}
			continue
		}
		if known {
			t.Errorf("%s changes as little as %s", name, before)
		}
		seen[hash(x)] = name
	}
	if a, b := (Example{Text: "ab"}), (Example{Text: "a", Text2: "b"}); hash(a) == hash(b) {
		t.Error("another cut gives the same hash")
	}
}

func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Slice:
		v.Set(reflect.ValueOf([]Message{{Content: "x"}}))
	default:
		t.Fatalf("%v", v.Type())
	}
}
