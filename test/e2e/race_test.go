//go:build race

package e2e_test

// The race detector makes everything several times slower.
const (
	raceFlag = "-race"
	slack    = 5
)
