// Package carillon is the root of Carillon, distributed fine-tuning of language
// models: the same job gives the same bits, whoever trains it and whatever dies
// on the way. It holds no code; start at cmd/carillon, or at train/step.go.
package carillon
