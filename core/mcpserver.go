package core

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// MCPStatus is the current status of an MCP server.
type MCPStatus string

// The statuses. A server whose desired state is running is MCPStarting until its handshake
// completes, then MCPRunning. If it exits or fails to start, it is in MCPError until the next
// attempt.
const (
	MCPStopped  MCPStatus = "stopped"
	MCPStarting MCPStatus = "starting"
	MCPRunning  MCPStatus = "running"
	MCPError    MCPStatus = "error"
	MCPStopping MCPStatus = "stopping"
)

// MCPDesiredState is the state that users want an MCP server to be in. It is kept across crashes
// and restarts.
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

// Masked replaces secret values in everything that is returned to clients. In an update it keeps
// the stored value.
const Masked = "***"

// MCPServer is a configured server of tools, resources and prompts.
type MCPServer struct {
	ID          string
	Name        string
	Description string
	// Slug is the unique name of the server in URLs. It is also the prefix of its tools' names.
	Slug string
	// Transport is the label of an mcp block in plugins.hcl.
	Transport string
	// Config is the MCPConfig as JSON, with masked secrets.
	Config json.RawMessage
	// Secrets contains the MCPSecrets of the config, encrypted. It is empty if there are none.
	Secrets []byte
	// Shared reports whether other users can see and use the server. They cannot change it.
	Shared bool
	// ShareCredentials reports whether other users can call the server through shared agents of its
	// creator. It does not let them see the server.
	ShareCredentials bool
	// DesiredState is the state that users asked for.
	DesiredState MCPDesiredState
	// Capabilities are those announced in the last handshake, such as tools, resources and prompts.
	Capabilities []string
	// Version is 1 for a new server and increases by one with each change by a user.
	Version   int64
	CreatedBy string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ShouldRun reports whether the server's desired state is running.
func (s *MCPServer) ShouldRun() bool { return s.DesiredState == MCPDesiredRunning }

// ChangeableBy reports whether the actor can change the server and read its log. Its creator and
// all admins can.
func (s *MCPServer) ChangeableBy(actor Actor) bool {
	return actor.Admin() || s.CreatedBy == actor.UserID
}

// UsableBy reports whether a run may use the server: a shared server, or one that belongs to the
// creator of the run's agent. If another user started the run, that server must have ShareCredentials.
// A run never uses a server that only the user who started it can see.
func (s *MCPServer) UsableBy(run *Run) bool {
	return s.Shared || s.CreatedBy == run.AgentOwner && (run.UserID == run.AgentOwner || s.ShareCredentials)
}

// MCPServerRef is an MCP server in the config of an agent. The id stays valid when the server gets
// another slug, and never refers to another server.
type MCPServerRef struct {
	// Slug is the slug in the config. It is the prefix of the tools' names, also after the server got
	// another slug.
	Slug string `json:"slug"`
	// ID is the id of the server. It is empty if the slug was never resolved.
	ID string `json:"id"`
}

// MCPServerStore stores MCP servers. Actors see their own and the shared servers and can change
// their own. Admins see and can change all servers. The parameter adminOnly reports whether only admins
// may configure servers of the transport, because it runs programs on this machine or connects to any
// address. Other actors then get Forbidden. Creating or enlarging a server fails with PayloadTooLarge beyond
// ObjectLimits.DatabaseBytes.
type MCPServerStore interface {
	// CreateMCPServer stores a new server. It fails with Forbidden, or with Conflict if the slug is
	// in use or reserved. The slug of a renamed or deleted server is reserved for its creator.
	CreateMCPServer(ctx context.Context, audit *AuditRecord, actor Actor, s *MCPServer, adminOnly bool) error
	// MCPServer returns the server with the given id. It fails with NotFound.
	MCPServer(ctx context.Context, actor Actor, id string) (*MCPServer, error)
	// MCPServerBySlug returns the server with the given slug. It fails with NotFound.
	MCPServerBySlug(ctx context.Context, actor Actor, slug string) (*MCPServer, error)
	// MCPServers returns a page of the servers, newest first, and the number of all servers that the
	// actor can see.
	MCPServers(ctx context.Context, actor Actor, p Page) ([]*MCPServer, int, error)
	// UpdateMCPServer stores the name, description, slug, transport, config, secrets, shared,
	// share_credentials and updated_at of s, and increases s.Version. It fails with NotFound, Forbidden or Conflict, or
	// with PreconditionFailed if the stored version differs from s.Version.
	UpdateMCPServer(ctx context.Context, audit *AuditRecord, actor Actor, s *MCPServer, adminOnly bool) error
	// DeleteMCPServer deletes a server. It fails with NotFound, Forbidden or PreconditionFailed, or with
	// Conflict and the names of the agents that use the server.
	DeleteMCPServer(ctx context.Context, audit *AuditRecord, actor Actor, id string, d MCPServerDeletion) error
	// SetDesiredState sets the server's desired state. It fails with NotFound or Forbidden.
	SetDesiredState(ctx context.Context, audit *AuditRecord, actor Actor, id string, state MCPDesiredState) error

	// MCPServersToRun returns the servers of all users whose desired state is running, oldest first.
	MCPServersToRun(ctx context.Context) ([]*MCPServer, error)
	// SetMCPCapabilities stores the capabilities that the server announced in its handshake. It
	// succeeds if the server no longer exists.
	SetMCPCapabilities(ctx context.Context, id string, capabilities []string) error
}

// MCPServerDeletion describes the deletion of an MCP server.
type MCPServerDeletion struct {
	// Version must equal the stored version, unless it is 0.
	Version int64
	// Force deletes the server although agents use it. Their runs then fail.
	Force bool
}

// MCPState is the current state of an MCP server.
type MCPState struct {
	Status MCPStatus
	// LastError is the reason why the server is in MCPError, or why its last connection ended. It
	// contains no secrets.
	LastError string
	Restarts  int
	// PID and Sandbox describe the server's process. They are empty without one. Sandbox is the
	// mechanism that isolates the process and ends it with the server.
	PID     int
	Sandbox string
	// StartedAt is the time of the handshake. It is zero without one.
	StartedAt time.Time
}

// MCPTool is a tool as its MCP server describes it.
type MCPTool struct {
	Name        string
	Title       string
	Description string
	// InputSchema is a JSON Schema. It is a string so that the runs that use it share one copy.
	InputSchema string
	// ReadOnly, Destructive and Idempotent are hints from the server.
	ReadOnly, Destructive, Idempotent bool
}

// MCPLogLine is one line of an MCP server's log.
type MCPLogLine struct {
	// Seq numbers the lines of a server from 1, starting again when the host restarts.
	Seq  int64
	Time time.Time
	// Source is "stderr" for a line of the server's standard error, and "host" for a line of its
	// supervisor.
	Source string
	Text   string
}

// MCPServers manages MCP servers for the API: it stores them, runs them and lists their tools.
type MCPServers interface {
	// Create validates and stores a server with its config, and starts it if its desired state is
	// running. It sets s.Config and s.Secrets. It fails with Invalid for a field such as
	// config.command, or with Forbidden or Conflict.
	Create(ctx context.Context, audit *AuditRecord, actor Actor, s *MCPServer, config MCPConfig) error
	// Update works like Create. A masked secret in config keeps the stored value. A running server
	// is restarted if its connection settings changed. Update also fails with NotFound and
	// PreconditionFailed.
	Update(ctx context.Context, audit *AuditRecord, actor Actor, s *MCPServer, config MCPConfig) error
	// Delete stops and deletes a server. It fails as MCPServerStore.DeleteMCPServer does.
	Delete(ctx context.Context, audit *AuditRecord, actor Actor, id string, d MCPServerDeletion) error

	// Start sets the desired state to running. Start, Stop and Restart return before the server has
	// reached its new state, which State reports. They fail with NotFound or Forbidden.
	Start(ctx context.Context, audit *AuditRecord, actor Actor, id string) error
	// Stop sets the desired state to stopped.
	Stop(ctx context.Context, audit *AuditRecord, actor Actor, id string) error
	// Restart sets the desired state to running and restarts a running server.
	Restart(ctx context.Context, audit *AuditRecord, actor Actor, id string) error

	// State returns the state of a server. The status of an unknown server is MCPStopped.
	State(id string) MCPState
	// Tools returns the tools of a server. It fails with Unavailable if the server is not running.
	Tools(ctx context.Context, s *MCPServer) ([]MCPTool, error)
	// Logs returns the last log lines, up to tail. With follow it also returns new lines until ctx
	// is done or the server is deleted. A slow reader misses lines; gaps in Seq show where.
	Logs(ctx context.Context, id string, tail int, follow bool) iter.Seq[MCPLogLine]
}

// Encrypter encrypts secrets before they are stored in the database.
type Encrypter interface {
	// Encrypt encrypts a secret and binds the result to its owner, such as the id of a row.
	Encrypt(owner string, secret []byte) ([]byte, error)
	// Decrypt returns the secret. It fails if the value was encrypted for another owner or with
	// another key.
	Decrypt(owner string, encrypted []byte) ([]byte, error)
}
