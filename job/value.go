package job

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// setScalar puts a YAML scalar into a string, bool, integer or float. A number
// in quotes is text, and text without a meaning as number is an error: no value
// is bent to fit.
func setScalar(v reflect.Value, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("%s; want %s", describe(n), wants(v.Kind()))
	}
	ok := false
	switch plain := n.ShortTag() != "!!str" || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0; v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
		ok = n.ShortTag() == "!!str"
	case reflect.Bool:
		low := strings.ToLower(n.Value)
		v.SetBool(low == "true")
		ok = plain && (low == "true" || low == "false")
	case reflect.Int:
		x, err := strconv.ParseInt(n.Value, 10, 32)
		v.SetInt(x)
		ok = plain && err == nil
	case reflect.Uint64:
		x, err := strconv.ParseUint(n.Value, 10, 64)
		v.SetUint(x)
		ok = plain && err == nil
	case reflect.Float64:
		x, err := strconv.ParseFloat(n.Value, 64)
		v.SetFloat(x)
		ok = plain && err == nil && !math.IsNaN(x) && !math.IsInf(x, 0)
	}
	if !ok {
		return fmt.Errorf("%s; want %s", describe(n), wants(v.Kind()))
	}
	return nil
}

// wants says what a value of that kind looks like.
func wants(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number below 2147483648, such as 8"
	case reflect.Uint64:
		return "a whole number from 0, such as 42"
	case reflect.Float64:
		return "a number, such as 0.5 or 2e-4"
	case reflect.Struct, reflect.Pointer:
		return "keys with values"
	}
	return "text (numbers, true, false and null are text in quotes)"
}

// describe shows a value in an error.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "found keys with values"
	case yaml.SequenceNode:
		return "found a list"
	}
	value := n.Value
	if len(value) > 60 {
		value = value[:60] + "..."
	}
	return fmt.Sprintf("found %q", value)
}

// isNull says whether a key stands without a value, which is as if it were not
// there.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// resolve follows YAML's own aliases (*name).
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}
