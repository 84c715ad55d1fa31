package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"carillon/ask"
)

// adapterFlag adds --adapter to a verb that asks models; also says what else it may be.
func adapterFlag(cmd *cobra.Command, adapters *[]string, also string) {
	cmd.Flags().StringArrayVar(adapters, "adapter", nil, "the `directory` of an adapter of any method, as PEFT or AdapterHub lays it out"+also+"; several over one base as name=directory each")
}

// adaptersOf reads the values of --adapter: a directory, or several with names.
func adaptersOf(cmd *cobra.Command, values []string) ([]ask.Adapter, error) {
	adapters := make([]ask.Adapter, len(values))
	taken := map[string]bool{}
	for i, value := range values {
		a := adapterOf(value)
		switch {
		case a.Dir == "":
			return nil, usage(cmd, "--adapter %s: want a directory, or name=directory", value)
		case a.Name == ask.Base:
			return nil, usage(cmd, "--adapter %s: %s is the base model alone; want another name", value, ask.Base)
		case taken[a.Name] && a.Name == "":
			return nil, usage(cmd, "--adapter %s: only one adapter can be without a name; want name=directory", value)
		case taken[a.Name]:
			return nil, usage(cmd, "--adapter %s: there are two of that name", value)
		}
		adapters[i], taken[a.Name] = a, true
	}
	return adapters, nil
}

// adapterOf tells a name and a directory from a directory in which there is an =.
func adapterOf(value string) ask.Adapter {
	name, dir, named := strings.Cut(value, "=")
	_, err := os.Stat(value)
	if !named || name == "" || strings.ContainsAny(name, `/\`) || err == nil {
		return ask.Adapter{Dir: value}
	}
	return ask.Adapter{Name: name, Dir: dir}
}
