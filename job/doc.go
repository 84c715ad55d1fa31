// Package job holds the words that every other package shares: what a user
// submits, what it is called, and where in its run one is.
//
// # How
//
// A recipe is YAML in the words of Axolotl and PEFT. Parse turns it into a Spec
// with all defaults filled in; a Spec travels as JSON from then on. Identity
// names what a Spec computes: keys that cannot change a bit of the result are
// left out of it, paths enter as hashes of what they hold. Mixer, ids, roster
// numbers and At are used by everyone and know nobody.
//
// # Failure
//
// Nothing that a user writes is ignored. An unknown key is an error that names
// the nearest one, a key that others spell differently is an error that gives
// our spelling, a key whose feature is not built is refused by name. Errors name
// file, line, key and value, and say what would be right.
//
// # Who decides
//
// Only what can be seen in the recipe alone is checked here. Whether a model has
// the modules, a machine the memory or a directory the files is decided by who
// opens them.
package job
