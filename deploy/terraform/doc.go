// Package terraform holds modules for clusters on AWS and Google Cloud. Its tests check
// them without a cloud: against the providers' schemas (schema/), against rules of
// security, and against the program that they start.
package terraform
