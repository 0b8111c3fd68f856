package hostcall

import (
	"encoding/json"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/core/internal/run/journal"
	"github.com/agentarea/agentarea/sdk"
)

// The API reference documents the data of these events field by field.

func usageEvent(c *core.Call) *journal.Event {
	return event(events.TypeUsage, journal.Marshal(struct {
		Type  string    `json:"type"`
		Model string    `json:"model"`
		Usage sdk.Usage `json:"usage"`
	}{events.TypeUsage, c.Model, c.Usage}))
}

func toolCallEvent(call *sdk.ToolCall) *journal.Event {
	return event(events.TypeToolCall, journal.Marshal(struct {
		Type      string          `json:"type"`
		ID        string          `json:"id"`
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}{events.TypeToolCall, call.ID, call.Name, arguments(call)}))
}

// arguments returns the arguments of call, as a JSON string if they are not valid JSON:
// a model may write anything.
func arguments(call *sdk.ToolCall) json.RawMessage {
	if json.Valid([]byte(call.Arguments)) {
		return json.RawMessage(call.Arguments)
	}
	return journal.Marshal(call.Arguments)
}

func toolResultEvent(call *sdk.ToolCall, result *sdk.ToolResult) *journal.Event {
	content := result.Parts
	if content == nil {
		content = []sdk.Part{} // the API documents an array, not null
	}
	return event(events.TypeToolResult, journal.Marshal(struct {
		Type    string     `json:"type"`
		ID      string     `json:"id"`
		Name    string     `json:"name"`
		Content []sdk.Part `json:"content"`
		IsError bool       `json:"is_error"`
	}{events.TypeToolResult, call.ID, call.Name, content, result.IsError}))
}
