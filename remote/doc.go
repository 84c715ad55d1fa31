// Package remote starts a cluster for one job on machines that a person can reach, and
// takes it away again.
//
// # How
//
// Over OpenSSH, or with srun inside a Slurm allocation, the program copies itself to each
// machine (once for each version), makes an authority for this one cluster, starts
// coordinators on the first three machines and a node on each, submits the job, and shows
// how it goes. All that it starts holds its connection, and ends with it.
//
// # Failure
//
// A machine that cannot be reached is named, with what ssh says. A node that ends is
// reported; the others go on. When this process ends, in whatever way, so does everything
// that it started; the job is in the store, and goes on with --resume.
//
// # Who decides
//
// The coordinators that it starts: from there on it is a cluster like any other.
package remote
