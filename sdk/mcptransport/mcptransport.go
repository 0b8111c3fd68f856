// Package mcptransport is for plugins of the kind mcp, which are transports to MCP servers, for example
// over HTTP or to a process on the machine. Implement Transport and call Serve from main.
//
// A transport carries complete JSON-RPC messages without interpreting them. The server may use any
// revision of MCP.
package mcptransport

import (
	"context"
	"encoding/json"
	"fmt"
)

// Kind is the name of the plugin kind in plugins.hcl.
const Kind = "mcp"

// CapabilityProcess is the capability of a transport that runs programs on the server's machine. Its
// config is {command, args, env}. Only administrators may use such a transport.
const CapabilityProcess = "process"

// CapabilityGuardedNetwork is the capability of a transport that restricts the addresses to which it connects, at each
// dial and after each redirect, as package netguard does. Every user may configure an address for such a transport. A
// transport that has neither this capability nor CapabilityProcess is for administrators only, because a user could
// reach the server's own network through it.
const CapabilityGuardedNetwork = "guarded_network"

// MaxMessage is the maximum size of a message in bytes, in both directions. A transport must not pass a
// larger message of a server to the host. It must replace a larger response by an error response with
// the same ID.
const MaxMessage = 16 << 20

// Transport connects to MCP servers. Its methods must be safe for concurrent use.
type Transport interface {
	// CheckConfig validates the config of a server. It returns nil or an error that contains an
	// *sdk.ConfigError for each problem, with a path relative to the config, such as ("args", "2"). It
	// must not use the network.
	CheckConfig(ctx context.Context, config json.RawMessage) error
	// Connect opens a connection to a server. The context applies only until Connect returns. The end of
	// the connection also ends what was started for it, such as a process with all its children. An
	// error should be an *sdk.Error. Its message may be shown to the user who configured the server.
	Connect(ctx context.Context, o Open) (Conn, error)
}

// Open identifies the server to connect to.
type Open struct {
	// Slug is the slug of the server, for log messages.
	Slug string
	// Config is the config of the server, as a JSON object with decrypted secrets.
	Config json.RawMessage
}

// Info describes a connection.
type Info struct {
	// PID is the ID of the process, or 0 if there is none.
	PID int
	// Sandbox lists the mechanisms that confine the process and end it. It is empty if there is no
	// process.
	Sandbox string
}

// Conn is a connection to an MCP server.
type Conn interface {
	// Info returns a description of the connection.
	Info() Info
	// Send sends one message, which is a JSON object without line breaks between its tokens. It is safe
	// for concurrent use.
	Send(ctx context.Context, message []byte) error
	// Receive returns the next frame. After the end of the connection, it always returns an *Exit. It
	// must be called by one goroutine at a time. If ctx is done, the connection may end.
	Receive(ctx context.Context) (Frame, error)
	// Close ends the connection and what was started for it, gracefully at first. Receive returns an
	// *Exit within a few seconds. Close may be called at any time and more than once.
	Close() error
}

// Frame is a message or a log line from a server. Exactly one field is set.
type Frame struct {
	// Message is one JSON-RPC message.
	Message []byte
	// Stderr is one line of the log, without the line break.
	Stderr string
}

// Exit is the error that reports the end of a connection.
type Exit struct {
	// Code is the exit code of the process, or -1 if a signal ended it or if there is no process.
	Code int
	// Message describes for people why the connection ended.
	Message string
	// Err is the error if the connection to the plugin broke, and nil otherwise.
	Err error
}

// Unwrap returns Err.
func (e *Exit) Unwrap() error { return e.Err }

// Error returns the message, or the exit code if there is no message.
func (e *Exit) Error() string {
	if e.Message != "" {
		return e.Message
	}
	return fmt.Sprintf("the server ended with exit code %d", e.Code)
}
