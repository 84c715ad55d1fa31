// Package systest holds the promise to the whole system: processes of the real
// program, the real wire, ledger and store, a small model.
//
// # How
//
// Its tests start themselves as nodes, coordinators and launchers, as carillon
// starts itself. Whatever a test does to a run, the verdict is the same: the
// adapter's SHA-256 is that of one node that nothing happened to, every step was
// recorded once with the same digest, and what was to happen did happen.
//
// With -bits (make bits) the same is done with recipes/demo.yaml and the base
// model of the demo.
package systest
