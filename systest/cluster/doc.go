// Package cluster tests a whole cluster, as docs/cluster.md has people start one: three
// coordinators, five nodes and an S3 server, each on an address of its own, in a network
// namespace of its own where the test may make them.
package cluster
