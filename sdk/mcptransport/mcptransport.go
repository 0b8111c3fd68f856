// Package mcptransport is for plugins that reach MCP servers: as a process on
// the machine, over HTTP, or however else.
//
// A transport carries whole JSON-RPC messages and understands none of them. The
// server at the other end may speak any revision of MCP.
package mcptransport

import (
	"context"
	"encoding/json"
	"fmt"
)

// Kind is the kind's word in plugins.hcl.
const Kind = "mcp"

// CapabilityProcess is the capability of a transport that runs programs on the
// server's machine, by a config of {command, args, env}. Only admins may use one.
const CapabilityProcess = "process"

// MaxMessage is how many bytes a message may have, either way. A message of a
// server that is longer must not reach the host: when it is an answer, an error
// answer of the same id stands for it.
const MaxMessage = 16 << 20

// Transport reaches MCP servers.
type Transport interface {
	// CheckConfig says what is wrong with a server's config: nil, or an error that
	// holds sdk.ConfigErrors, whose paths begin in the config ("args", "2"). It
	// reaches for nothing but the machine.
	CheckConfig(ctx context.Context, config json.RawMessage) error
	// Connect opens a connection of its own to a server; ctx is for the opening
	// only. What was opened for the connection, such as a process with all its
	// children, ends with it. It fails with an *sdk.Error, whose message may be
	// shown to whoever configured the server.
	Connect(ctx context.Context, o Open) (Conn, error)
}

// Open says which server to connect to.
type Open struct {
	// Slug is the server's, for logs.
	Slug string
	// Config is the server's, a JSON object with its secrets in clear.
	Config json.RawMessage
}

// Info is what a connection tells of itself.
type Info struct {
	// PID is the process's, if there is one.
	PID int
	// Sandbox says what keeps the process from harm and from being left behind;
	// empty without a process.
	Sandbox string
}

// Conn is a connection to an MCP server.
type Conn interface {
	Info() Info
	// Send sends one message: a JSON object without line breaks between its
	// tokens. It may be called by several goroutines at once.
	Send(ctx context.Context, message []byte) error
	// Receive gives the next frame. When the connection has ended, it fails with an
	// *Exit, from then on. One goroutine calls it; the end of ctx may end the
	// connection.
	Receive(ctx context.Context) (Frame, error)
	// Close ends the connection with all that belongs to it, gently at first:
	// within a few seconds Receive gives an *Exit. It may be called at any time,
	// and again.
	Close() error
}

// Frame is what comes from a server: one of the two.
type Frame struct {
	// Message is one JSON-RPC message.
	Message []byte
	// Stderr is one line for its log, without the line break.
	Stderr string
}

// Exit is how a connection ended.
type Exit struct {
	// Code is the process's exit code; -1 when a signal ended it or there is none.
	Code int
	// Message says why, for people.
	Message string
	// Err is the error of a plugin whose connection broke, if that is why.
	Err error
}

// Unwrap gives Err.
func (e *Exit) Unwrap() error { return e.Err }

func (e *Exit) Error() string {
	if e.Message != "" {
		return e.Message
	}
	return fmt.Sprintf("the server ended with exit code %d", e.Code)
}
