package core

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// MCPStatus is what an MCP server is doing.
type MCPStatus string

// The statuses. A server that is to run is Starting until its handshake is done,
// then Running; when it ends or does not start it is in MCPError until the next try.
const (
	MCPStopped  MCPStatus = "stopped"
	MCPStarting MCPStatus = "starting"
	MCPRunning  MCPStatus = "running"
	MCPError    MCPStatus = "error"
	MCPStopping MCPStatus = "stopping"
)

// MCPDesiredState is the state that users want an MCP server to be in. The server keeps it across
// crashes and restarts.
type MCPDesiredState string

// The desired states.
const (
	MCPDesiredRunning MCPDesiredState = "running"
	MCPDesiredStopped MCPDesiredState = "stopped"
)

// DesiredMCPState returns MCPDesiredRunning if run is true, and MCPDesiredStopped otherwise.
func DesiredMCPState(run bool) MCPDesiredState {
	if run {
		return MCPDesiredRunning
	}
	return MCPDesiredStopped
}

// Masked stands for a secret value wherever it would be shown. In an update it
// keeps the value that is there.
const Masked = "***"

// MCPServer is a server of tools, resources and prompts.
type MCPServer struct {
	ID          string
	Name        string
	Description string
	// Slug is its name in URLs and before its tools' names; unique.
	Slug string
	// Transport is the label of an mcp stanza of plugins.hcl.
	Transport string
	// Config is a JSON object of the transport's, as {command, args, env} or
	// {url, headers}. The values of env and headers are Masked: Secrets has them.
	Config json.RawMessage
	// Secrets are the masked values, sealed; empty for none.
	Secrets []byte
	// Shared servers may be used, not changed, by others.
	Shared bool
	// DesiredState is the state that users asked for.
	DesiredState MCPDesiredState
	// Capabilities are those of the last handshake: tools, resources, prompts, …
	Capabilities []string
	// Version counts the changes by users, from 1.
	Version   int64
	CreatedBy string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ShouldRun reports whether the server's desired state is running.
func (s *MCPServer) ShouldRun() bool { return s.DesiredState == MCPDesiredRunning }

// ChangedBy says whether the viewer may change the server, and read its log:
// who made it, and admins.
func (s *MCPServer) ChangeableBy(v Actor) bool { return v.Admin() || s.CreatedBy == v.UserID }

// MCPServerStore keeps MCP servers. A viewer sees the own and the shared ones and
// may change the own ones; an admin sees and may change all. process says that
// the server's transport runs programs on this machine: then only an admin may
// create or update it, and everybody else is Forbidden.
type MCPServerStore interface {
	// CreateMCPServer fails with Conflict when the slug is taken, or with Forbidden.
	CreateMCPServer(ctx context.Context, v Actor, s *MCPServer, process bool) error
	// MCPServer fails with NotFound.
	MCPServer(ctx context.Context, v Actor, id string) (*MCPServer, error)
	// MCPServerBySlug fails with NotFound.
	MCPServerBySlug(ctx context.Context, v Actor, slug string) (*MCPServer, error)
	// MCPServers lists newest first, with the count of all.
	MCPServers(ctx context.Context, v Actor, p Page) ([]*MCPServer, int, error)
	// UpdateMCPServer stores s's name, description, slug, transport, config, secrets,
	// shared and updated_at, and raises Version, if the stored version is still
	// s.Version. It fails with NotFound, Forbidden, Conflict or PreconditionFailed.
	UpdateMCPServer(ctx context.Context, v Actor, s *MCPServer, process bool) error
	// DeleteMCPServer fails with NotFound, Forbidden or PreconditionFailed.
	DeleteMCPServer(ctx context.Context, v Actor, id string, version int64) error
	// SetDesiredState sets the server's desired state. It fails with NotFound or Forbidden.
	SetDesiredState(ctx context.Context, v Actor, id string, state MCPDesiredState) error

	// MCPServersToRun lists the servers of all users whose desired state is running, oldest first.
	MCPServersToRun(ctx context.Context) ([]*MCPServer, error)
	// SetMCPCapabilities stores the capabilities that the server announced in its handshake. It
	// succeeds if the server no longer exists.
	SetMCPCapabilities(ctx context.Context, id string, capabilities []string) error
}

// MCPState is how an MCP server does just now.
type MCPState struct {
	Status MCPStatus
	// LastError is why it is in error, or why its last life ended; without secrets.
	LastError string
	Restarts  int
	// PID and Sandbox are of the process, if there is one: what keeps it from harm
	// and from being left behind.
	PID     int
	Sandbox string
	// StartedAt is the time of its handshake; zero without one.
	StartedAt time.Time
}

// MCPTool is a tool as its server tells of it.
type MCPTool struct {
	Name        string
	Title       string
	Description string
	InputSchema json.RawMessage
	// ReadOnly, Destructive and Idempotent are the server's own hints.
	ReadOnly, Destructive, Idempotent bool
}

// MCPLogLine is a line of a server's standard error, or of the supervisor's own.
type MCPLogLine struct {
	// Seq rises by one with each line of a server since the host's start, from 1.
	Seq  int64
	Time time.Time
	// Source is stderr, or host for a line of the supervisor's.
	Source string
	Text   string
}

// MCPServers is what the API wants of the MCP servers: they are kept, and run.
type MCPServers interface {
	// Create checks, stores and, if its desired state is running, starts a server. s.Config has its
	// secrets in clear; they are masked in it and sealed when Create returns. It
	// fails with Invalid (config.command …), Forbidden or Conflict.
	Create(ctx context.Context, v Actor, s *MCPServer) error
	// Update is as Create; a value in env or headers that is Masked stays as it
	// is. A server that runs is started again if how to reach it has changed. It
	// fails also with NotFound and PreconditionFailed.
	Update(ctx context.Context, v Actor, s *MCPServer) error
	// Delete stops the server and forgets it.
	Delete(ctx context.Context, v Actor, id string, version int64) error

	// Start, Stop and Restart say what is wanted, and return once the server is on
	// its way there; State tells how it goes. They fail with NotFound or Forbidden.
	Start(ctx context.Context, v Actor, id string) error
	Stop(ctx context.Context, v Actor, id string) error
	Restart(ctx context.Context, v Actor, id string) error

	// State of one that is not known is Stopped.
	State(id string) MCPState
	// Tools lists a server's tools. It fails with Unavailable when it does not run.
	Tools(ctx context.Context, s *MCPServer) ([]MCPTool, error)
	// Logs gives the last lines, at most tail; with follow also those to come,
	// until ctx ends or the server is deleted. Lines that a slow reader misses are
	// missing in Seq.
	Logs(ctx context.Context, id string, tail int, follow bool) iter.Seq[MCPLogLine]
}

// Encrypter encrypts what must not be read in the database.
type Encrypter interface {
	// Encrypt binds the secret to what it is of, such as a row's id.
	Encrypt(of string, secret []byte) ([]byte, error)
	// Decrypt fails for what was sealed of something else, or with another key.
	Decrypt(of string, sealed []byte) ([]byte, error)
}
