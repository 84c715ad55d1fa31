package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// configError is ConfigError for a file that the caller names.
func configError(err error) error { return ConfigError("config.json", err) }

// ConfigError says in a user's words, not in Go's, what is wrong with the JSON of
// a config.json.
func ConfigError(path string, err error) error {
	var kind *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &kind):
		return fmt.Errorf("%s: %w", path, err)
	case kind.Field == "":
		return fmt.Errorf("%s: a JSON %s, want an object", path, kind.Value)
	}
	return fmt.Errorf("%s: %s is a JSON %s, want %s", path, kind.Field, kind.Value, inWords(kind.Type))
}

// inWords is a type of Go as a user of JSON knows it.
func inWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	case reflect.Float64, reflect.Float32:
		return "a number"
	case reflect.Slice:
		return "a list"
	}
	return "an object"
}
