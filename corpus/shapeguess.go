package corpus

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// manyClasses is the number of different whole numbers from which labels are no
// longer taken for classes without being asked.
const manyClasses = 100

// guessShape returns the only shape that fits the first rows. Whole texts fit many
// rows that hold more, so they count only where nothing else fits.
func guessShape(named []naming, first []row) (shape, error) {
	var fits []shape
	for _, f := range forms {
		if s, err := f.fit(named, first); err == nil {
			s.guessed = true
			fits = append(fits, s)
		}
	}
	fits = without(fits, TypeText)
	if indexOf(fits, TypeMessages) >= 0 { // both fit where the recipe names a message's fields, and mean the same
		fits = without(fits, TypeShareGPT)
	}
	if i := indexOf(fits, TypeClassification); i >= 0 {
		kind, err := labelKind(fits[i].fields[keyLabel], named, first)
		if err != nil {
			return shape{}, err
		}
		fits = without(fits, map[string]string{TypeClassification: TypeRegression, TypeRegression: TypeClassification}[kind])
	}
	if len(fits) == 1 {
		return fits[0], nil
	}
	return shape{}, cannotTell(fits, first)
}

// without drops the shape of a kind, if there are others.
func without(fits []shape, kind string) []shape {
	if len(fits) < 2 {
		return fits
	}
	return slices.DeleteFunc(fits, func(s shape) bool { return s.kind == kind })
}

func indexOf(fits []shape, kind string) int {
	return slices.IndexFunc(fits, func(s shape) bool { return s.kind == kind })
}

// labelKind tells classes from numbers to learn: one fraction among numbers
// makes them numbers; names, booleans and whole numbers are classes.
func labelKind(field string, named []naming, first []row) (string, error) {
	numbers, names, fraction := map[float64]bool{}, 0, false
	for _, r := range first {
		value, _ := lookUp(r.fields, field)
		number, ok := numberOf(value)
		if !ok {
			if value != nil && value != "" {
				names++
			}
			continue
		}
		numbers[number] = true
		fraction = fraction || number != math.Trunc(number)
	}
	switch {
	case names > 0 && field == "target" && !slices.Contains(named, naming{keyLabel, field}):
		return "", fmt.Errorf("%q beside a text may be a class or an answer: write type: %s, or type: %s with field_source and field_target", field, TypeClassification, TypeSeq2Seq)
	case names == 0 && fraction:
		return TypeRegression, nil
	case names == 0 && len(numbers) > manyClasses:
		return "", fmt.Errorf("%q holds %d different whole numbers, which may be classes or not: write type: %s or type: %s", field, len(numbers), TypeClassification, TypeRegression)
	}
	return TypeClassification, nil
}

// severalTypes says where the first record of each type stands, if several fit because
// there are records of several types, each of one.
func severalTypes(fits []shape, first []row) string {
	var at []string
	for _, s := range fits {
		i := slices.IndexFunc(first, func(r row) bool {
			return !slices.ContainsFunc(fits, func(other shape) bool { return (other.kind == s.kind) != other.within(r) })
		})
		if i < 0 {
			return ""
		}
		at = append(at, fmt.Sprintf("%s at %s", s.kind, first[i].from))
	}
	return strings.Join(at, ", ")
}

// within says whether a row has the fields that the shape cannot do without.
func (s shape) within(r row) bool {
	f, _ := formNamed(s.kind) // a shape's is known
	return !slices.ContainsFunc(f.parts, func(p part) bool {
		_, ok := lookUp(r.fields, s.fields[p.key])
		return !ok && !p.optional && p.key != keyRole && p.key != keyContent // these are a message's
	})
}

// cannotTell says why there is no guess, and what to write.
func cannotTell(fits []shape, first []row) error {
	there := fieldsOf(first)
	if at := severalTypes(fits, first); at != "" {
		return fmt.Errorf("records of several types: %s; a data set has one: give each type files of its own, or write the type, and on_bad_row: skip to leave out the others", at)
	}
	if len(fits) > 1 {
		var kinds []string
		for _, s := range fits {
			kinds = append(kinds, s.kind)
		}
		return fmt.Errorf("records with the fields %s may be of type %s: write which one in the data set's type", list(there, ""), strings.Join(kinds, " or "))
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if what, ok := foreign[name]; ok {
			return fmt.Errorf("records with the field %q are not read (%s): want one of %s", name, what, kinds())
		}
	}
	return fmt.Errorf("cannot tell the type of records with the fields %s: write type: with one of %s, and name the fields by its field_ keys", list(there, "text"), kinds())
}
