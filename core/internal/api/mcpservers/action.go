package mcpservers

import (
	"context"
	"net/http"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// mcpAction is a server just after an action was requested.
type mcpAction struct {
	MCPServer
	Message string `json:"message" doc:"The requested action, for people"`
}

type mcpActionOutput struct{ Body mcpAction }

// registerActions adds start, stop and restart.
func registerActions(h *handlers) {
	for _, action := range []struct {
		verb, summary, description, message string
		do                                  func(context.Context, *core.AuditRecord, core.Actor, string) error
		status                              core.MCPStatus
	}{
		{
			"start", "Start an MCP server",
			"From now on the server also starts after a crash and when the platform starts. A running server is not affected.",
			"MCP server started", h.Controller.Start, core.MCPStarting,
		},
		{
			"stop", "Stop an MCP server", "The server stays stopped until it is started.",
			"MCP server stopped", h.Controller.Stop, core.MCPStopping,
		},
		{
			"restart", "Restart an MCP server", "Stops the server if it is running, and starts it.",
			"MCP server restarted", h.Controller.Restart, core.MCPStarting,
		},
	} {
		example := mcpAction{MCPServer: exampleMCPServer, Message: action.message}
		example.Status, example.Wanted, example.StartedAt = action.status, action.status == core.MCPStarting, nil
		state := func(ctx context.Context, in *mcpServerInput, _ string) (*mcpActionOutput, error) {
			s, err := h.Store.MCPServer(ctx, api.Actor(ctx), in.ID)
			if err != nil {
				return nil, err
			}
			return &mcpActionOutput{Body: mcpAction{MCPServer: h.body(ctx, s), Message: action.message}}, nil
		}
		api.RegisterRepeatable(h.api, api.Operation{
			ID: action.verb + "-mcp-server", Method: http.MethodPost, Path: serverPath + "/" + action.verb, Tag: "MCP servers",
			Summary: action.summary, Access: api.Writer, Response: example,
			Description: action.description + " The reply does not wait for it: the status of the server shows the progress.",
		}, func(ctx context.Context, in *mcpServerInput) (*mcpActionOutput, error) {
			if err := action.do(ctx, api.Audit(ctx), api.Actor(ctx), in.ID); err != nil {
				return nil, err
			}
			return state(ctx, in, in.ID)
		}, state)
	}
}
