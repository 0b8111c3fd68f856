// Package mcp keeps the MCP servers and runs those that are wanted.
//
// A server that is wanted has a main child: a connection of an mcp plugin, mostly
// a process, that go-sdk's client holds. Agents' calls go through it, and it is
// what a server's state is about. The gateway dials further children of the same
// server. All of them end when the server is stopped, changed or deleted.
//
//	           wanted                    handshake
//	stopped ───────────▶ starting ─────────────────────▶ running
//	   ▲                   │   ▲                            │
//	   │                   │   │ after 0.25 s, 0.5 s … 60 s │
//	   │                   ▼   │                            │
//	   │                   error ◀──────────────────────────┘
//	   │                              it ends, or hangs
//	   └── stopping ◀── from any, once it is not wanted; a restart and a change go
//	                    on to starting from here
//
// What is wanted is in the database, and each change of it is followed from
// there (manage.go), so that what runs is what is stored. One goroutine a server
// does the starting and ending (supervisor.go); nothing of a server starts before
// all of its former life is gone.
//
// The values of env and headers are sealed in the database and masked wherever
// else they would show (secret.go). They are taken out of every line and error by
// their exact value (redact.go), also out of those that plugins report.
//
// Toolbox gives agents the tools of the servers that their config names, as
// slug__tool.
package mcp
