package main

import (
	"context"

	"carillon/launch"
	"carillon/model"
)

// foresee says of each method, before anything is trained, what it takes of the
// memory, and which are refused. It errs if all are.
func (c *comparison) foresee(ctx context.Context) error {
	c.plans, c.refused = map[string]launch.Plan{}, map[string]error{}
	machine := launch.ThisMachine(ctx, c.backend.Kind())
	for _, method := range c.methods {
		if method == "feature" { // trains nothing on nodes
			continue
		}
		if err := c.weigh(ctx, method, machine); err != nil {
			c.refused[method] = err
		}
	}
	if len(c.refused) == len(c.methods) {
		return c.refused[c.methods[0]]
	}
	return nil
}

// weigh plans a method's run, and refuses it if it does not fit.
func (c *comparison) weigh(ctx context.Context, method string, m launch.Machine) error {
	p, err := c.plan(ctx, method)
	if err != nil {
		return err
	}
	c.plans[method] = p
	c.view.Note(method + ": " + p.Predict().String())
	if err := p.Check(m); err != nil && !c.force {
		c.view.Note(p.Predict().Table())
		return err
	}
	return nil
}

// plan is a method's run, as far as it decides the memory.
func (c *comparison) plan(ctx context.Context, method string) (launch.Plan, error) {
	spec, err := c.specOf(method)
	if err != nil {
		return launch.Plan{}, err
	}
	base, err := model.Inspect(ctx, spec)
	return launch.Plan{Spec: spec, Base: base, Coordinators: 1, Kind: c.backend.Kind()}, err
}
