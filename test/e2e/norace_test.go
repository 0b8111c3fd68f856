//go:build !race

package e2e_test

const (
	raceFlag = "-race=false"
	slack    = 1
)
