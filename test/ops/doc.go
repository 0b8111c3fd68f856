// Package ops tests how AgentArea is deployed: its container image, compose.yaml, the systemd service,
// and the programs that make build builds.
package ops
