package backend

// ViewAlignment is what the addresses of memory that View takes are multiples of: XLA's
// own, that of its widest vectors.
const ViewAlignment = 64
