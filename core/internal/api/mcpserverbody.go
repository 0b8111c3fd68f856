package api

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// mcpServerRequest is an MCP server as its user writes it.
type mcpServerRequest struct {
	Name        string `json:"name" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"100"`
	Slug        string `json:"slug,omitempty" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" patternDescription:"Must be of a-z, 0-9 and single hyphens between them, like my-server" maxLength:"40" doc:"Its name in URLs and before its tools' names, as in my-server__search; made from the name when left out"`
	Description string `json:"description,omitempty" maxLength:"4096"`
	Transport   string `json:"transport,omitempty" maxLength:"128" doc:"The label of an mcp plugin; when left out, stdio for a config with a command and http for one with a url"`
	Config      object `json:"config" doc:"How to reach it: {command, args, env} for stdio, {url, headers} for http and sse. The values of env and headers are never shown again: *** stands for them"`
	Shared      bool   `json:"shared,omitempty" doc:"Others may use it, not change it"`
	AutoStart   *bool  `json:"auto_start,omitempty" default:"true" doc:"Start it now, and again whenever the platform starts; afterwards start and stop say so"`
}

// mcpServerReplacement takes an MCP server as GET gives it, and leaves alone
// what the platform decides.
type mcpServerReplacement struct {
	Name         string   `json:"name" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"100"`
	Slug         string   `json:"slug,omitempty" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" patternDescription:"Must be of a-z, 0-9 and single hyphens between them, like my-server" maxLength:"40" doc:"Stays as it is when left out"`
	Description  string   `json:"description,omitempty" maxLength:"4096"`
	Transport    string   `json:"transport,omitempty" maxLength:"128" doc:"When left out, stdio for a config with a command and http for one with a url"`
	Config       object   `json:"config" doc:"A value in env or headers that is *** stays what it is"`
	Shared       bool     `json:"shared,omitempty" doc:"Others may use it, not change it"`
	ID           string   `json:"id,omitempty" readOnly:"true"`
	Status       string   `json:"status,omitempty" readOnly:"true"`
	URL          string   `json:"url,omitempty" readOnly:"true"`
	Capabilities []string `json:"capabilities,omitempty" readOnly:"true"`
	Wanted       bool     `json:"wanted,omitempty" readOnly:"true"`
	LastError    string   `json:"last_error,omitempty" readOnly:"true"`
	Sandbox      string   `json:"sandbox,omitempty" readOnly:"true"`
	Restarts     int      `json:"restarts,omitempty" readOnly:"true"`
	PID          int      `json:"pid,omitempty" readOnly:"true"`
	StartedAt    string   `json:"started_at,omitempty" readOnly:"true"`
	CreatedAt    string   `json:"created_at,omitempty" readOnly:"true"`
	UpdatedAt    string   `json:"updated_at,omitempty" readOnly:"true"`
	CreatedBy    string   `json:"created_by,omitempty" readOnly:"true"`
}

// mcpServerChange documents a merge patch.
type mcpServerChange struct {
	Name        *string `json:"name,omitempty" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"100"`
	Slug        *string `json:"slug,omitempty" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" patternDescription:"Must be of a-z, 0-9 and single hyphens between them, like my-server" maxLength:"40"`
	Description *string `json:"description,omitempty" maxLength:"4096"`
	Transport   *string `json:"transport,omitempty" maxLength:"128" doc:"Unless given, it follows a config that gets a command or a url instead"`
	Config      *object `json:"config,omitempty" doc:"Merged with the config: null takes a field away"`
	Shared      *bool   `json:"shared,omitempty"`
}

// mcpServerPatch is an RFC 7396 merge patch.
type mcpServerPatch []byte

// UnmarshalJSON implements json.Unmarshaler.
func (p *mcpServerPatch) UnmarshalJSON(b []byte) error {
	*p = append((*p)[:0], b...)
	return nil
}

// Schema implements huma.SchemaProvider.
func (mcpServerPatch) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[mcpServerChange](), true, "MCPServerChange")
}

// MCPServer is exported for Huma, which sees no other embedded structs.
type MCPServer struct {
	ID           string         `json:"id"`
	Name         string         `json:"name"`
	Description  string         `json:"description"`
	Slug         string         `json:"slug"`
	Status       core.MCPStatus `json:"status" enum:"stopped,starting,running,error,stopping"`
	URL          string         `json:"url" doc:"Where MCP clients reach it, with an access token of the platform"`
	Transport    string         `json:"transport"`
	Config       object         `json:"config" doc:"The values of env and headers are ***"`
	Capabilities []string       `json:"capabilities" doc:"What it said that it has when it was last started"`
	Shared       bool           `json:"shared"`
	Wanted       bool           `json:"wanted" doc:"It is to run, also after a crash and when the platform starts; start and stop set this"`
	LastError    string         `json:"last_error" doc:"Why it is in error, or why it last ended; empty for none"`
	Sandbox      string         `json:"sandbox" doc:"What keeps its process from harm, and from being left behind; empty without a process"`
	Restarts     int            `json:"restarts"`
	PID          int            `json:"pid,omitempty" doc:"Of its process, for admins"`
	StartedAt    *stamp         `json:"started_at,omitempty" doc:"When it was ready; left out while it is not"`
	CreatedAt    stamp          `json:"created_at"`
	UpdatedAt    stamp          `json:"updated_at"`
	CreatedBy    string         `json:"created_by"`
}

type mcpServerList struct {
	Servers []MCPServer `json:"servers"`
	Paged
}

type (
	mcpServerInput struct {
		ID string `path:"server_id"`
	}
	// MCPServerMatch names an MCP server, and the version that it must have.
	MCPServerMatch struct {
		ID      string `path:"server_id"`
		IfMatch string `header:"If-Match" doc:"The ETag of the version to change; 412 when it has changed since"`
	}
	mcpServerCreate struct{ Body mcpServerRequest }
	mcpServerPut    struct {
		MCPServerMatch
		Body mcpServerReplacement
	}
	mcpServerPatchInput struct {
		MCPServerMatch
		Body mcpServerPatch
	}
	mcpServersInput  struct{ Page }
	mcpServersOutput struct{ Body mcpServerList }
	mcpServerOutput  struct {
		ETag string `header:"ETag" doc:"The version, for If-Match"`
		Body MCPServer
	}
	mcpServerMade struct {
		Location string `header:"Location" doc:"Where the MCP server is"`
		ETag     string `header:"ETag" doc:"The version, for If-Match"`
		Body     MCPServer
	}
)

var (
	exampleMCPRequest = mcpServerRequest{
		Name: "my-mcp-server", Slug: "my-server",
		Config: object(`{"command":"python","args":["-m","my_mcp_server"],"env":{"API_KEY":"secret-key"}}`),
	}
	exampleMCPReplacement = mcpServerRequest{
		Name: "my-mcp-server", Slug: "my-server",
		Config: object(`{"command":"python","args":["-m","my_mcp_server","--verbose"],"env":{"API_KEY":"***"}}`),
	}
	exampleMCPServer = MCPServer{
		ID: "server-123", Name: "my-mcp-server", Slug: "my-server", Status: core.MCPRunning,
		URL: "http://localhost:8000/mcp/my-server/mcp/", Transport: "stdio",
		Config:       object(`{"command":"python","args":["-m","my_mcp_server"],"env":{"API_KEY":"***"}}`),
		Capabilities: []string{"tools", "resources"}, Wanted: true, Sandbox: "bubblewrap", StartedAt: &exampleTime,
		CreatedAt: exampleTime, UpdatedAt: exampleTime, CreatedBy: "user-456",
	}
)
