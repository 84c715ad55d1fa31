package methods

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/dlclark/regexp2/v2"
)

// AllLinear as the only target module means every linear map but a language
// model's head.
const AllLinear = "all-linear"

// targets are the modules that a method changes, by the rules of PEFT: a list of
// modules' paths or of their ends after a dot, or one regular expression (Python's)
// for whole paths, or AllLinear.
type targets struct {
	key     string // of the recipe, for errors
	include selection
	exclude selection
	saved   []string // modules that are trained whole, in which nothing else is changed
	layers  []int    // only those of these layers; nil: all
}

// selection is a list of names, or one expression.
type selection struct {
	names      []string
	expression *regexp2.Regexp
}

// newSelection reads a list of the recipe.
func newSelection(key string, list []string) (selection, error) {
	i := slices.IndexFunc(list, IsExpression)
	if i < 0 {
		return selection{names: list}, nil
	}
	if len(list) > 1 {
		return selection{}, fmt.Errorf("%s: %q is a regular expression beside others; want one alone, or only names of modules", key, list[i])
	}
	e, err := compile(key, "^(?:"+list[0]+")$")
	return selection{list, e}, err
}

// IsExpression tells regular expressions from names by what names never hold.
func IsExpression(s string) bool { return strings.ContainsAny(s, `\*+?()[]{}|^$`) }

// patience is how long an expression may take for one name: Python's may need
// exponentially long.
const patience = time.Second

func compile(key, expression string) (*regexp2.Regexp, error) {
	e, err := regexp2.Compile(expression, regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	e.MatchTimeout = patience
	return e, nil
}

// fits says whether an expression matches a name; one that takes too long does not.
func fits(e *regexp2.Regexp, name string) bool {
	ok, err := e.MatchString(name)
	return err == nil && ok
}

// has says whether the path is selected.
func (s selection) has(path string) bool {
	if s.expression != nil {
		return fits(s.expression, path)
	}
	return slices.ContainsFunc(s.names, func(name string) bool { return endsIn(path, name) })
}

// endsIn says whether name is the path itself, or its end after a dot.
func endsIn(path, name string) bool { return path == name || strings.HasSuffix(path, "."+name) }

// all says whether every linear map is meant.
func (s selection) all() bool { return len(s.names) == 1 && s.names[0] == AllLinear }

func newTargets(key string, include, exclude, saved []string, layers []int) (t targets, err error) {
	t = targets{key: key, saved: saved, layers: layers}
	if len(include) == 0 {
		return t, fmt.Errorf("%s.target_modules is empty; name modules, or %s", key, AllLinear)
	}
	if t.include, err = newSelection(key+".target_modules", include); err != nil {
		return t, err
	}
	if t.exclude, err = newSelection(key+".exclude_modules", exclude); err != nil {
		return t, err
	}
	if layers != nil && t.include.expression != nil {
		return t, fmt.Errorf("%s.layers_to_transform beside a regular expression, which can say the layers itself", key)
	}
	return t, nil
}

// linear says whether a linear map is changed.
func (t targets) linear(path string, head bool) bool {
	if t.include.all() {
		return !head && t.allowed(path) && t.inLayers(path)
	}
	return t.has(path)
}

// embedding says whether an embedding is changed.
func (t targets) embedding(path string) bool { return !t.include.all() && t.has(path) }

func (t targets) has(path string) bool {
	return t.include.has(path) && t.allowed(path) && (slices.Contains(t.include.names, path) || t.inLayers(path))
}

// allowed says whether nothing keeps a module from being changed.
func (t targets) allowed(path string) bool {
	return !t.exclude.has(path) && !inHead(path) && !slices.ContainsFunc(t.saved, func(m string) bool {
		return strings.Contains("."+path+".", "."+m+".")
	})
}

var layerNumber = regexp.MustCompile(`^.*?\.[^.]*\.(\d+)\.`)

// inLayers goes by the first number that is a part of the path.
func (t targets) inLayers(path string) bool {
	if t.layers == nil {
		return true
	}
	found := layerNumber.FindStringSubmatch(path)
	if found == nil {
		return false
	}
	n, err := strconv.Atoi(found[1])
	return err == nil && slices.Contains(t.layers, n)
}

// check refuses names that no module has.
func (t targets) check(modules []string) error {
	for _, name := range t.include.names {
		if t.include.all() || t.include.expression != nil {
			break
		}
		if !slices.ContainsFunc(modules, func(path string) bool { return endsIn(path, name) }) {
			return fmt.Errorf("%s.target_modules: the model has no module %q; it has %q", t.key, name, byDistance(name, lastParts(modules)))
		}
	}
	if !slices.ContainsFunc(modules, func(path string) bool { return t.linear(path, false) || t.embedding(path) }) {
		return t.nothing(modules)
	}
	return nil
}

// nothing says why no module is left to change.
func (t targets) nothing(modules []string) error {
	named := slices.DeleteFunc(slices.Clone(modules), func(path string) bool { return !t.include.all() && !t.include.has(path) })
	switch layered, n := layersOf(modules); {
	case len(named) == 0:
		return fmt.Errorf("%s.target_modules: %q matches no module's whole path; there are %q and others, which end in %q", t.key, t.include.names[0], layered, lastParts(modules))
	case t.layers != nil && !slices.ContainsFunc(named, t.inLayers):
		return fmt.Errorf("%s.layers_to_transform: %v leaves no module to change of target_modules %q; the model's layers are 0 to %d", t.key, t.layers, t.include.names, n-1)
	}
	return fmt.Errorf("%s.target_modules %q leaves no module to change, of %q: what exclude_modules and modules_to_save name, and a classifier's head, is left alone", t.key, t.include.names, lastParts(modules))
}

// layersOf returns the path of a module that is in a layer, or of any, and the number
// of layers.
func layersOf(modules []string) (path string, n int) {
	path = modules[0]
	for _, m := range modules {
		if found := layerNumber.FindStringSubmatch(m); found != nil {
			i, err := strconv.Atoi(found[1])
			if err == nil && i >= n {
				path, n = m, i+1
			}
		}
	}
	return path, n
}

// lastParts returns the distinct last parts of paths.
func lastParts(paths []string) []string {
	last := map[string]bool{}
	for _, path := range paths {
		last[path[strings.LastIndex(path, ".")+1:]] = true
	}
	return slices.Sorted(maps.Keys(last))
}

// byDistance puts the names that are nearest to name first.
func byDistance(name string, names []string) []string {
	last := name[strings.LastIndex(name, ".")+1:]
	slices.SortStableFunc(names, func(a, b string) int {
		return levenshtein.ComputeDistance(last, a) - levenshtein.ComputeDistance(last, b)
	})
	return names
}

// patterns are values for some modules: those whose path ends, after a dot or from
// its start, as an expression (Python's) says.
type patterns[T any] []pattern[T]

type pattern[T any] struct {
	expression *regexp2.Regexp
	value      T
}

// newPatterns reads a table of the recipe. Where several fit a module, the first in
// the order of the alphabet counts, which is the order in PEFT's files.
func newPatterns[T any](key string, table map[string]T) (patterns[T], error) {
	var all patterns[T]
	for _, name := range slices.Sorted(maps.Keys(table)) {
		e, err := compile(key, `^(?:.*\.)?(?:`+name+`)$`)
		if err != nil {
			return nil, err
		}
		all = append(all, pattern[T]{e, table[name]})
	}
	return all, nil
}

// of returns the value for a module, or otherwise.
func (p patterns[T]) of(path string, otherwise T) T {
	for _, q := range p {
		if fits(q.expression, path) {
			return q.value
		}
	}
	return otherwise
}
