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
	Message string `json:"message" doc:"The result of the action, for people"`
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
			b := mcpAction{MCPServer: h.body(ctx, s), Message: action.message}
			if action.status == core.MCPStarting && b.Status == core.MCPError {
				b.Message = notStarted(b.LastError)
			}
			return &mcpActionOutput{Body: b}, nil
		}
		api.RegisterRepeatable(h.api, api.Operation{
			ID: action.verb + "-mcp-server", Method: http.MethodPost, Path: serverPath + "/" + action.verb, Tag: "MCP servers",
			Summary: action.summary, Access: api.Writer, Response: example,
			Description: action.description + " The reply does not wait for it: the status of the server shows the progress.",
		}, func(ctx context.Context, in *mcpServerInput) (*mcpActionOutput, error) {
			before := h.Inspector.State(in.ID).Status
			if err := action.do(ctx, api.Audit(ctx), api.Actor(ctx), in.ID); err != nil {
				return nil, err
			}
			out, err := state(ctx, in, in.ID)
			if err == nil && action.verb == "start" && before == core.MCPRunning && out.Body.Status == core.MCPRunning {
				out.Body.Message = "MCP server is already running"
			}
			return out, err
		}, state)
	}
}

// notStarted returns the message for a server that cannot start, or that has failed again at once.
func notStarted(lastError string) string {
	if lastError == "" {
		return "MCP server did not start. See its logs."
	}
	return "MCP server did not start: " + lastError
}
