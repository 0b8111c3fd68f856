// Package ops has the tests of how AgentArea is run: its image, compose.yaml, the
// service of systemd, and the binaries as they ship.
package ops
