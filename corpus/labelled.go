package corpus

import "slices"

// Labelled is an example of classification: a text, or two with a line end between
// them, and the number of its class.
type Labelled struct {
	Text    string
	Class   int
	HeldOut bool
}

// Labelled returns the examples of classification, whose classes are numbered as in
// labels; none where the data is for something else.
func (r *Reading) Labelled(labels []string) []Labelled {
	var out []Labelled
	for _, x := range r.examples {
		if x.Kind != TypeClassification {
			continue
		}
		text := x.Text
		if x.Text2 != "" {
			text += "\n" + x.Text2
		}
		out = append(out, Labelled{text, slices.Index(labels, x.Label), x.HeldOut})
	}
	return out
}
