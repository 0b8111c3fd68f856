// Package supervise keeps processes and connections running: those of plugins and of MCP servers.
// Loop starts a process again that has ended, with growing delays. Health finds one that hangs.
package supervise
