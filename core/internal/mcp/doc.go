// Package mcp stores the MCP servers and runs those that should run.
//
// A server that should run has a main connection, which an mcp plugin opens and
// go-sdk's client uses. It usually belongs to a process. Tool calls of agents use
// this connection, and it determines the server's state. The gateway dials further
// connections to the same server. All connections end when the server is stopped,
// changed or deleted.
//
//	           desired                   handshake
//	stopped ───────────▶ starting ─────────────────────▶ running
//	   ▲                   │   ▲                            │
//	   │                   │   │ after 0.25 s, 0.5 s … 60 s │
//	   │                   ▼   │                            │
//	   │                   error ◀──────────────────────────┘
//	   │                              it exits or hangs
//	   └── stopping ◀── from any state, when it is not desired any more. A restart or a
//	                    change continues with starting.
//
// The database stores which servers should run. Every change is read back from it and
// applied (manage.go), so that what runs equals what is stored. One goroutine per
// server starts and stops it (supervisor.go). A server starts only after everything
// from its previous generation has ended.
//
// The secrets of a server's config (core.MCPSecrets) are encrypted in the database
// (secret.go) and masked in output (core.MCPConfig.Masked). An update keeps masked values
// (core.MCPConfig.Merge). Their exact values are removed from every log line and
// error, including those of plugins (redact.go).
//
// Toolbox provides agents with the tools of the servers in their config, under the names
// slug__tool.
package mcp
