package mcpservers

import (
	"context"
	"iter"
	"net/http"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// Inspector looks into running MCP servers.
type Inspector interface {
	// State returns Stopped for an unknown server.
	State(id string) core.MCPState
	// Tools fails with Unavailable if the server is not running.
	Tools(ctx context.Context, s *core.MCPServer) ([]core.MCPTool, error)
	// Logs returns the last lines of a server's log, at most tail. With follow it also returns later
	// lines, until ctx ends or the server is deleted. Lines that a slow reader misses leave a gap in
	// Seq.
	Logs(ctx context.Context, id string, tail int, follow bool) iter.Seq[core.MCPLogLine]
}

type mcpTool struct {
	Name          string     `json:"name" doc:"The name that the server uses"`
	QualifiedName string     `json:"qualified_name" doc:"The name that agents use, also in the tools of an agent's config"`
	Title         string     `json:"title,omitempty"`
	Description   string     `json:"description"`
	InputSchema   api.Object `json:"input_schema" doc:"The JSON Schema of the arguments"`
	ReadOnly      bool       `json:"read_only" doc:"Whether the server declares that the tool changes nothing"`
	Destructive   bool       `json:"destructive" doc:"Whether the server declares that the tool may delete or overwrite data"`
	Idempotent    bool       `json:"idempotent" doc:"Whether the server declares that repeating a call with the same arguments has no further effect"`
}

type mcpTools struct {
	Tools []mcpTool `json:"tools"`
}

type mcpToolsOutput struct{ Body mcpTools }

func registerTools(h *handlers) {
	api.Register(h.api, api.Operation{
		ID: "list-mcp-tools", Method: http.MethodGet, Path: serverPath + "/tools", Tag: "MCP servers", Access: api.SignedIn,
		Summary: "List an MCP server's tools",
		Description: "Agents whose mcp_servers include the server can use these tools. While the server is not running, " +
			"the request fails with 503.",
		Response: mcpTools{Tools: []mcpTool{{
			Name: "search", QualifiedName: "my-server__search", Description: "Finds pages by their words",
			InputSchema: api.Object(`{"type":"object","properties":{"query":{"type":"string"}},"required":["query"]}`),
			ReadOnly:    true,
		}}},
		Errors: []core.Code{core.CodeUpstream, core.CodeUpstreamTimeout},
	}, h.tools)
}

func (h *handlers) tools(ctx context.Context, in *mcpServerInput) (*mcpToolsOutput, error) {
	s, err := h.Store.MCPServer(ctx, api.Actor(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	found, err := h.Inspector.Tools(ctx, s)
	if err != nil {
		return nil, err
	}
	out := &mcpToolsOutput{Body: mcpTools{Tools: make([]mcpTool, 0, len(found))}}
	size := 0
	for _, t := range found {
		size += len(t.Description) + len(t.InputSchema)
		out.Body.Tools = append(out.Body.Tools, mcpTool{
			Name: t.Name, QualifiedName: s.Slug + "__" + t.Name, Title: t.Title, Description: t.Description,
			InputSchema: api.Object(t.InputSchema), ReadOnly: t.ReadOnly, Destructive: t.Destructive, Idempotent: t.Idempotent,
		})
	}
	return out, h.api.EnterLarge(ctx, size)
}
