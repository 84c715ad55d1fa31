package ask

import (
	"fmt"
	"slices"
	"strings"

	"carillon/safetensors"
)

// SetTrainables makes tensors, by their names, what was trained in the model: all
// of the method's tensors, in their shapes, and no others. nil is what the method
// starts from: the base itself.
func (a *Asker) SetTrainables(tensors []safetensors.Tensor) error {
	var flat []float32
	if tensors != nil {
		var err error
		if flat, err = a.flatten(tensors); err != nil {
			return err
		}
	}
	a.flat = flat
	if a.seat.holds == a {
		a.seat.holds = nil
	}
	return nil
}

// flatten lays tensors out in the session's flat order.
func (a *Asker) flatten(tensors []safetensors.Tensor) ([]float32, error) {
	session := a.session()
	given := make(map[string]safetensors.Tensor, len(tensors))
	for _, t := range tensors {
		given[t.Name] = t
	}
	flat := make([]float32, session.Size())
	var wrong []string
	for _, p := range session.Params() {
		t, ok := given[p.Name]
		delete(given, p.Name)
		switch {
		case !ok:
			wrong = append(wrong, p.Name+" is missing")
		case !slices.Equal(t.Shape, p.Shape):
			wrong = append(wrong, fmt.Sprintf("%s is %v, want %v", p.Name, t.Shape, p.Shape))
		default:
			copy(flat[p.Offset:], t.Data)
		}
	}
	for name := range given {
		wrong = append(wrong, name+" is not of this model")
	}
	if wrong != nil {
		return nil, fmt.Errorf("the tensors do not fit %s: %s", a.dir, list(wrong))
	}
	return flat, nil
}

// list names at most five things, in order, and says how many more there are.
func list(s []string) string {
	const most = 5
	slices.Sort(s)
	if more := len(s) - most; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(s[:most], "; "), more)
	}
	return strings.Join(s, "; ")
}
