// Package family knows the families of models by the model_type of their config.json,
// and what each calls the tensors in its files.
//
// It is the only list of families: a new one is a package and a row. A configuration
// that a family's package does not understand is refused there.
package family

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"carillon/model/bert"
	"carillon/model/gpt2"
	"carillon/model/llama"
	"carillon/model/t5"
)

// Family is what a family says of the tensors in its files.
type Family interface {
	// Name returns the parameter that a file's tensor holds.
	Name(tensor string) string
	// Tied returns the parameter that a tensor repeats, or "".
	Tied(tensor string) string
	// Unused returns why a tensor that files of the family may hold is no parameter,
	// or "".
	Unused(tensor string) string
}

// families are made from a config.json, by its model_type.
var families = map[string]func(config []byte) (Family, error){
	"bert": encoder, "roberta": encoder, "distilbert": encoder,
	"gpt2": func(config []byte) (Family, error) {
		c, err := gpt2.ParseConfig(config)
		return gpt2.Model{Config: c}, err
	},
	"llama": decoder, "mistral": decoder, "qwen2": decoder, "qwen3": decoder,
	"t5": func(config []byte) (Family, error) { return t5.ParseConfig(config) },
}

func encoder(config []byte) (Family, error) { return bert.ParseConfig(config) }

func decoder(config []byte) (Family, error) { return llama.ParseConfig(config) }

// Parse finds the family that a config.json is of.
func Parse(config []byte) (modelType string, f Family, err error) {
	var head struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(config, &head); err != nil {
		return "", nil, err
	}
	parse, ok := families[head.ModelType]
	if !ok {
		return "", nil, fmt.Errorf("model_type %q is not known; known are %q", head.ModelType, slices.Sorted(maps.Keys(families)))
	}
	f, err = parse(config)
	return head.ModelType, f, err
}
