package api

import (
	"context"
	"net/http"

	"github.com/agentarea/agentarea/core"
)

// mcpAction is the server as it is just after it was told what to do.
type mcpAction struct {
	MCPServer
	Message string `json:"message" doc:"What it was told, for people"`
}

type mcpTool struct {
	Name          string `json:"name" doc:"As its server has it"`
	QualifiedName string `json:"qualified_name" doc:"As agents have it, and as an agent's tools may name it"`
	Title         string `json:"title,omitempty"`
	Description   string `json:"description"`
	InputSchema   object `json:"input_schema" doc:"The JSON Schema of its arguments"`
	ReadOnly      bool   `json:"read_only" doc:"It changes nothing, as its server says"`
	Destructive   bool   `json:"destructive" doc:"It may delete or overwrite, as its server says"`
	Idempotent    bool   `json:"idempotent" doc:"A second call with the same arguments changes nothing more, as its server says"`
}

type mcpTools struct {
	Tools []mcpTool `json:"tools"`
}

type (
	mcpActionOutput struct{ Body mcpAction }
	mcpToolsOutput  struct{ Body mcpTools }
)

func (a *api) registerMCPActions() {
	for _, action := range []struct {
		verb, summary, about, done string
		do                         func(core.MCPServers, context.Context, core.Actor, string) error
		status                     core.MCPStatus
	}{
		{
			"start", "Start an MCP server", "It is to run from now on, also after a crash and when the platform starts. One that runs stays as it is.",
			"MCP server started", core.MCPServers.Start, core.MCPStarting,
		},
		{"stop", "Stop an MCP server", "It stays stopped until it is started.", "MCP server stopped", core.MCPServers.Stop, core.MCPStopping},
		{"restart", "Restart an MCP server", "Stops it, if it runs, and starts it.", "MCP server restarted", core.MCPServers.Restart, core.MCPStarting},
	} {
		example := mcpAction{MCPServer: exampleMCPServer, Message: action.done}
		example.Status, example.Wanted, example.StartedAt = action.status, action.status == core.MCPStarting, nil
		register(a, operation{
			id: action.verb + "-mcp-server", method: http.MethodPost, path: mcpServerPath + "/" + action.verb, tag: "MCP servers",
			summary: action.summary, access: writer, response: example,
			about: action.about + " The answer comes when it is on its way there: its status tells how it goes.",
		}, func(ctx context.Context, in *mcpServerInput) (*mcpActionOutput, error) {
			v := actor(ctx)
			if err := action.do(a.mcp, ctx, v, in.ID); err != nil {
				return nil, err
			}
			s, err := a.mcpStore.MCPServer(ctx, v, in.ID)
			if err != nil {
				return nil, err
			}
			return &mcpActionOutput{Body: mcpAction{MCPServer: a.mcpServerBody(ctx, s), Message: action.done}}, nil
		})
	}
	register(a, operation{
		id: "list-mcp-tools", method: http.MethodGet, path: mcpServerPath + "/tools", tag: "MCP servers", summary: "List an MCP server's tools", access: signedIn,
		about: "What agents get when their mcp_servers name it. While it does not run it is 503.",
		response: mcpTools{Tools: []mcpTool{{
			Name: "search", QualifiedName: "my-server__search", Description: "Finds pages by their words",
			InputSchema: object(`{"type":"object","properties":{"query":{"type":"string"}},"required":["query"]}`), ReadOnly: true,
		}}},
		errors: []core.Code{core.CodeUpstream, core.CodeUpstreamTimeout},
	}, a.mcpTools)
}

func (a *api) mcpTools(ctx context.Context, in *mcpServerInput) (*mcpToolsOutput, error) {
	s, err := a.mcpStore.MCPServer(ctx, actor(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	found, err := a.mcp.Tools(ctx, s)
	if err != nil {
		return nil, err
	}
	out := &mcpToolsOutput{Body: mcpTools{Tools: make([]mcpTool, 0, len(found))}}
	for _, t := range found {
		out.Body.Tools = append(out.Body.Tools, mcpTool{
			Name: t.Name, QualifiedName: s.Slug + "__" + t.Name, Title: t.Title, Description: t.Description,
			InputSchema: object(t.InputSchema), ReadOnly: t.ReadOnly, Destructive: t.Destructive, Idempotent: t.Idempotent,
		})
	}
	return out, nil
}
