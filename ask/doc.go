// Package ask asks models: what is the loss on a job's held-out part, how many
// classes are told right there, how does a text go on. It takes a base model alone
// or with what a job trained in it.
//
// # How
//
// An Asker is a model with what one adapter, or none, puts into it. Several Askers
// stand over one base model, whose weights are on the device once; those of adapters
// of one kind also take turns in one session of package model, with the programs that
// it compiled. Each says what it says alone, to the last bit.
//
// Most methods start from the base model itself (LoRA's B is zero), so that an Asker
// answers for the base and for whatever SetTrainables puts into it. Behind a prompt
// that nobody trained the base says something else: asked without an adapter it is
// asked without the method.
//
// The held-out loss runs the program of the gradient, in the job's own batches,
// and adds up as a training step does: it is the number that a run of the same
// recipe reports, to the last digit.
//
// # Failure
//
// An adapter of another base model is refused by that model's hash, where the
// directory that it names is here; one that does not fit with the names of its
// tensors, before anything is changed. A loss that is no number is an error.
//
// # Who decides
//
// The recipe says which examples are held out and how they stand in batches; the
// directory of an adapter says what was trained.
package ask
