//go:build race

package corpus

func init() { raceDetector = true }
