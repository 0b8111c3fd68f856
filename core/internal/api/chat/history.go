package chat

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/sdk"
)

type message struct {
	ID        string        `json:"id"`
	Role      sdk.Role      `json:"role" enum:"user,assistant,tool,system"`
	Content   string        `json:"content"`
	Files     []messageFile `json:"files,omitempty" doc:"Files attached to the message"`
	ToolCalls []toolCall    `json:"tool_calls,omitempty" doc:"Tool calls that led to the answer, in the order of the calls"`
	SessionID string        `json:"session_id"`
	Timestamp api.Time      `json:"timestamp"`
	Metadata  api.Object    `json:"metadata"`
}

// toolCall is a tool call of an earlier turn, as the later turns of the session receive it.
type toolCall struct {
	ID        string     `json:"id" doc:"ID that the model gave the call"`
	Name      string     `json:"name" example:"files__read"`
	Arguments api.Object `json:"arguments"`
	Result    string     `json:"result" doc:"Text of the result. A text of more than 64 KiB is truncated"`
	IsError   bool       `json:"is_error" doc:"Whether the tool reported a failure"`
}

// toolCalls returns the calls of steps with their results. Unless files is true, it hides the arguments and results of
// the tools for files.
func toolCalls(steps []sdk.Message, files bool) []toolCall {
	var calls []toolCall
	for _, m := range steps {
		for _, c := range m.ToolCalls {
			calls = append(calls, toolCall{ID: c.ID, Name: c.Name, Arguments: arguments(c.Arguments)})
		}
		if m.Role != sdk.RoleTool {
			continue
		}
		// A model may use an ID again in a later step, so the newest call with the ID is meant.
		for i := range slices.Backward(calls) {
			if calls[i].ID == m.ToolCallID {
				calls[i].Result, calls[i].IsError = text(m.Parts), m.ToolError
				break
			}
		}
	}
	for i, c := range calls {
		if !files && core.IsFileTool(c.Name) {
			calls[i].Arguments, calls[i].Result = api.Object("{}"), api.HiddenFile
		}
	}
	return calls
}

// arguments returns the arguments of a call, or an empty object if the model's text is not a JSON object.
func arguments(text string) api.Object {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &object) != nil || object == nil {
		return api.Object("{}")
	}
	return api.Object(text)
}

type history struct {
	Messages   []message `json:"messages"`
	Limit      int       `json:"limit"`
	HasMore    bool      `json:"has_more" doc:"Whether there are older messages"`
	NextCursor string    `json:"next_cursor,omitempty" doc:"The cursor of the page with older messages. Omitted if there are none"`
}

type historyInput struct {
	AgentID   string        `path:"agent_id"`
	SessionID string        `query:"session_id" doc:"Filter by session"`
	Limit     int           `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"Number of messages. A page has fewer, but at least one, if they exceed 4 MiB"`
	Before    api.TimeInput `query:"before" doc:"Messages before this time. A date means the start of that day in UTC"`
	Cursor    string        `query:"cursor" doc:"The next_cursor of the previous page, which continues with older messages"`
	api.UserParam
}

type historyOutput struct{ Body history }

func (h *handlers) history(ctx context.Context, in *historyInput) (*historyOutput, error) {
	v := api.Actor(ctx)
	userID, err := in.Owner(v)
	if err != nil {
		return nil, err
	}
	if in.SessionID != "" {
		if err := core.CheckSessionID("session_id", in.SessionID); err != nil {
			return nil, err
		}
	}
	before, _, err := in.Before.Parse("before")
	if err != nil {
		return nil, err
	}
	var position int64
	if in.Cursor != "" {
		if in.Before != "" {
			return nil, core.Invalid("before", "Must be omitted with cursor, which selects the page")
		}
		key, err := api.ParseCursor(ctx, "cursor", in.Cursor)
		if err != nil {
			return nil, err
		}
		position = key.Number
	}
	tasks := api.Allows(ctx, core.ResourceTasks, false)
	if core.IsTaskSession(in.SessionID) && !tasks {
		return nil, api.MissingScope(core.ResourceTasks, false)
	}
	if _, err := h.Agents.Get(ctx, v, in.AgentID); err != nil {
		return nil, err
	}
	found, more, err := h.Messages.Messages(ctx, core.MessageFilter{
		AgentID: in.AgentID, UserID: userID, SessionID: in.SessionID, WithoutTasks: !tasks, Before: before,
		BeforePosition: position, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	files := api.Allows(ctx, core.ResourceFiles, false)
	out := &historyOutput{Body: history{Messages: make([]message, 0, len(found)), Limit: in.Limit, HasMore: more}}
	if more && len(found) > 0 {
		out.Body.NextCursor = api.NewCursor(ctx, core.PageKey{Number: found[0].Position})
	}
	for _, m := range found {
		out.Body.Messages = append(out.Body.Messages, message{
			ID: m.ID, Role: m.Role, Content: text(m.Parts), Files: attachedFiles(m.Parts),
			ToolCalls: toolCalls(m.Steps, files), SessionID: m.SessionID,
			Timestamp: api.Time(m.CreatedAt), Metadata: api.Object(m.Metadata),
		})
	}
	return out, nil
}
