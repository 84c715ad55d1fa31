//go:build !amd64

package allreduce

import "carillon/job"

// No vector code here: the plain loops do all the work.

func addNoisyVectors([]int32, uint32, uint32, []float32, job.Key, uint64) int { return 0 }

func shiftNoisyVectors([]int32, int, job.Key, uint64) int { return 0 }

func maxMagnitudeVectors([]float32) (top uint32, n int) { return 0, 0 }

func extremesVectors([]int32) (low, high int32, n int) { return 0, 0, 0 }

func dequantizeVectors([]float32, []int32, float32, float32) (top uint32, n int) { return 0, 0 }
