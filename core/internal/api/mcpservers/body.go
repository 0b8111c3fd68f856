package mcpservers

import (
	"encoding/json"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// mcpServerRequest is an MCP server in a request.
type mcpServerRequest struct {
	Name             string     `json:"name" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"100"`
	Slug             string     `json:"slug,omitempty" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" patternDescription:"Must contain only a-z, 0-9 and single hyphens between them, such as my-server" maxLength:"40" doc:"The name in URLs and the prefix of tool names, such as my-server__search. By default it is derived from the name"`
	Description      string     `json:"description,omitempty" maxLength:"4096"`
	Transport        string     `json:"transport,omitempty" maxLength:"128" doc:"The label of an mcp plugin. The default is stdio for a config with a command and http for one with a url"`
	Config           api.Object `json:"config" doc:"{command, args, env} for stdio, {url, headers} for http and sse. The values of env and headers are write-only: replies contain *** instead"`
	Shared           bool       `json:"shared,omitempty" doc:"Other users can use this server but cannot change it"`
	ShareCredentials bool       `json:"share_credentials,omitempty" doc:"Other users may call this server through your shared agents, with its credentials"`
	AutoStart        *bool      `json:"auto_start,omitempty" default:"true" doc:"Whether to start the server now and whenever the platform starts. Change it later with start and stop"`
}

// applyTo sets the fields of s to those of the request, and returns the config, whose secrets are in
// plain text. It fails with Invalid.
func (r *mcpServerRequest) applyTo(s *core.MCPServer) (core.MCPConfig, error) {
	if r.Slug != "" {
		if err := core.CheckSlug("slug", r.Slug); err != nil {
			return core.MCPConfig{}, err
		}
	}
	if len(r.Config) == 0 {
		return core.MCPConfig{}, core.Invalid("config", "Field is required")
	}
	config, err := core.ParseMCPConfig(json.RawMessage(r.Config))
	if err != nil {
		return core.MCPConfig{}, err
	}
	transport := r.Transport
	if transport == "" {
		if transport, err = config.Transport(); err != nil {
			return core.MCPConfig{}, err
		}
	}
	s.Name, s.Slug, s.Description = r.Name, r.Slug, r.Description
	s.Transport, s.Shared, s.ShareCredentials = transport, r.Shared, r.ShareCredentials
	return config, nil
}

// mcpServerReplacement accepts an MCP server as GET returns it. The fields that the platform sets are
// ignored.
type mcpServerReplacement struct {
	Name             string     `json:"name" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"100"`
	Slug             string     `json:"slug,omitempty" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" patternDescription:"Must contain only a-z, 0-9 and single hyphens between them, such as my-server" maxLength:"40" doc:"By default it stays unchanged"`
	Description      string     `json:"description,omitempty" maxLength:"4096"`
	Transport        string     `json:"transport,omitempty" maxLength:"128" doc:"The default is stdio for a config with a command and http for one with a url"`
	Config           api.Object `json:"config" doc:"A value of *** in env or headers keeps the stored value, unless the transport, the command, or the scheme, host or port of the url changes"`
	Shared           bool       `json:"shared,omitempty" doc:"Other users can use this server but cannot change it"`
	ShareCredentials bool       `json:"share_credentials,omitempty" doc:"Other users may call this server through your shared agents, with its credentials"`
	ID               string     `json:"id,omitempty" readOnly:"true"`
	Status           string     `json:"status,omitempty" readOnly:"true"`
	URL              string     `json:"url,omitempty" readOnly:"true"`
	Capabilities     []string   `json:"capabilities,omitempty" readOnly:"true"`
	Wanted           bool       `json:"wanted,omitempty" readOnly:"true"`
	LastError        string     `json:"last_error,omitempty" readOnly:"true"`
	Sandbox          string     `json:"sandbox,omitempty" readOnly:"true"`
	Restarts         int        `json:"restarts,omitempty" readOnly:"true"`
	PID              int        `json:"pid,omitempty" readOnly:"true"`
	StartedAt        string     `json:"started_at,omitempty" readOnly:"true"`
	CreatedAt        string     `json:"created_at,omitempty" readOnly:"true"`
	UpdatedAt        string     `json:"updated_at,omitempty" readOnly:"true"`
	CreatedBy        string     `json:"created_by,omitempty" readOnly:"true"`
}

// mcpServerChange documents the fields of a merge patch.
type mcpServerChange struct {
	Name             *string     `json:"name,omitempty" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"100"`
	Slug             *string     `json:"slug,omitempty" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" patternDescription:"Must contain only a-z, 0-9 and single hyphens between them, such as my-server" maxLength:"40"`
	Description      *string     `json:"description,omitempty" maxLength:"4096"`
	Transport        *string     `json:"transport,omitempty" maxLength:"128" doc:"If omitted, it stays unchanged, but stdio becomes http for a config with a url and http becomes stdio for one with a command"`
	Config           *api.Object `json:"config,omitempty" doc:"Merged with the config. null removes a field"`
	Shared           *bool       `json:"shared,omitempty"`
	ShareCredentials *bool       `json:"share_credentials,omitempty"`
}

// MCPServer is the body of an MCP server. It is exported because Huma ignores embedded structs that are
// not.
type MCPServer struct {
	ID               string         `json:"id"`
	Name             string         `json:"name"`
	Description      string         `json:"description"`
	Slug             string         `json:"slug"`
	Status           core.MCPStatus `json:"status" enum:"stopped,starting,running,error,stopping"`
	URL              string         `json:"url" doc:"URL for MCP clients. Authenticate with an AgentArea access token or API key"`
	Transport        string         `json:"transport"`
	Config           api.Object     `json:"config" doc:"The values of env and headers are replaced by ***"`
	Capabilities     []string       `json:"capabilities" doc:"The capabilities that the server declared at its last start"`
	Shared           bool           `json:"shared"`
	ShareCredentials bool           `json:"share_credentials" doc:"Whether other users may call this server through shared agents of its creator, with its credentials"`
	Wanted           bool           `json:"wanted" doc:"Whether the server should run, also after a crash and when the platform starts. Set by start and stop"`
	LastError        string         `json:"last_error" doc:"Why the server is in error or last exited. Empty if there was no error, and for users who may not change the server"`
	Sandbox          string         `json:"sandbox" doc:"How the process is isolated. Empty without a process"`
	Restarts         int            `json:"restarts"`
	PID              int            `json:"pid,omitempty" doc:"The id of the process. Only for admins"`
	StartedAt        *api.Time      `json:"started_at,omitempty" doc:"When the server became ready. Omitted while the server is not running"`
	CreatedAt        api.Time       `json:"created_at"`
	UpdatedAt        api.Time       `json:"updated_at"`
	CreatedBy        string         `json:"created_by"`
}

type mcpServerList struct {
	Servers []MCPServer `json:"servers"`
	api.Paged
}

type (
	mcpServerInput struct {
		ID string `path:"server_id"`
	}
	// MCPServerMatch selects an MCP server and the version that it must have.
	MCPServerMatch struct {
		ID      string `path:"server_id"`
		IfMatch string `header:"If-Match" doc:"The ETag of the version to change. If the server has changed since then, the request fails with 412"`
	}
	mcpServerCreate struct{ Body mcpServerRequest }
	mcpServerPut    struct {
		MCPServerMatch
		Body mcpServerReplacement
	}
	mcpServerPatchInput struct {
		MCPServerMatch
		Body api.Patch[mcpServerChange]
	}
	mcpServerDelete struct {
		MCPServerMatch
		Force bool `query:"force" doc:"Delete the server although agents use it. Their runs then fail"`
	}
	mcpServersInput  struct{ api.LongPage }
	mcpServersOutput struct{ Body mcpServerList }
	mcpServerOutput  struct {
		ETag string `header:"ETag" doc:"For If-None-Match, and for If-Match, which compares only the version in it"`
		Body MCPServer
	}
	mcpServerMade struct {
		Location string `header:"Location" doc:"The path of the MCP server"`
		ETag     string `header:"ETag" doc:"For If-None-Match, and for If-Match, which compares only the version in it"`
		Body     MCPServer
	}
)

var (
	exampleMCPRequest = mcpServerRequest{
		Name: "my-mcp-server", Slug: "my-server",
		Config: api.Object(`{"command":"python","args":["-m","my_mcp_server"],"env":{"API_KEY":"secret-key"}}`),
	}
	exampleMCPReplacement = mcpServerRequest{
		Name: "my-mcp-server", Slug: "my-server",
		Config: api.Object(`{"command":"python","args":["-m","my_mcp_server","--verbose"],"env":{"API_KEY":"***"}}`),
	}
	exampleMCPServer = MCPServer{
		ID: "server-123", Name: "my-mcp-server", Slug: "my-server", Status: core.MCPRunning,
		URL: "http://localhost:8000/mcp/my-server/mcp/", Transport: "stdio",
		Config:       api.Object(`{"command":"python","args":["-m","my_mcp_server"],"env":{"API_KEY":"***"}}`),
		Capabilities: []string{"tools", "resources"}, Wanted: true, Sandbox: "bubblewrap", StartedAt: &api.ExampleTime,
		CreatedAt: api.ExampleTime, UpdatedAt: api.ExampleTime, CreatedBy: "user-456",
	}
)
