// Package deploy holds what starts Carillon elsewhere: units, images, manifests and
// Terraform's modules. Its tests check them as far as that goes without those places.
package deploy
