// Package pki says who is who in a cluster: certificates, what each may do, and
// the tokens with which a new machine gets one.
//
// # How
//
// A cluster has a certificate authority of its own (Init). It issues certificates
// for coordinators, nodes and users; a certificate's URI says which:
// spiffe://ROLE.carillon/NAME. Host names and addresses are in none: machines come
// and go, and whoever holds the key of a name is that name, wherever it runs. An
// Identity is what one process holds: whom it trusts, its certificate and its key.
// It makes the tls.Config of both sides of a connection, TLS 1.3 with certificates
// on both.
//
// A coordinator also has an Issuer, which certifies nodes and nobody else (its own
// certificate is constrained to node.carillon, which every verification checks).
// A node without a certificate shows a Token to a coordinator; it makes its key
// itself and sends only a signing request.
//
// # Failure
//
// Files are read again when they change, so certificates and authorities are
// replaced without a restart; one that cannot be read leaves the one before. A
// name that was revoked is refused for ever, whatever certificate it shows. A
// certificate that has expired is refused where connections begin; those that
// stand are not cut.
//
// # Who decides
//
// The holder of ca.key, who may be the user's own authority: then its files are
// given instead, and there are no tokens. Which names are revoked, and how often a
// token was used, is in the coordinators' ledger.
package pki
