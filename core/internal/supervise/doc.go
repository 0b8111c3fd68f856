// Package supervise keeps processes and connections running: those of plugins and of MCP servers.
// Loop starts what has ended again, with growing delays. Health finds what hangs.
package supervise
