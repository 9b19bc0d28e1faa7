//go:build race

package kernels

// raceDetector says that the race detector is at work.
const raceDetector = true
