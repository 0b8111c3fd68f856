// Package supervise holds what the supervisors of plugins and of MCP servers have in
// common: when a process or connection that ended is started again.
package supervise
