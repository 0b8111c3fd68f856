package run

import (
	"encoding/json"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// The data of the events that a run sends. Field by field they are what the
// API's documentation shows.

func startEvent(r *core.Run) json.RawMessage {
	return marshal(struct {
		Type      string `json:"type"`
		SessionID string `json:"session_id"`
		RunID     string `json:"run_id"`
	}{"start", r.SessionID, r.ID})
}

func usageEvent(c *core.Call) json.RawMessage {
	return marshal(struct {
		Type  string    `json:"type"`
		Model string    `json:"model"`
		Usage sdk.Usage `json:"usage"`
	}{"usage", c.Model, c.Usage})
}

func toolCallEvent(call *sdk.ToolCall) json.RawMessage {
	return marshal(struct {
		Type      string          `json:"type"`
		ID        string          `json:"id"`
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}{"tool_call", call.ID, call.Name, arguments(call)})
}

// arguments are the call's own when they are JSON, else a JSON string of them:
// a model may write anything.
func arguments(call *sdk.ToolCall) json.RawMessage {
	if json.Valid([]byte(call.Arguments)) {
		return json.RawMessage(call.Arguments)
	}
	return marshal(call.Arguments)
}

func toolResultEvent(call *sdk.ToolCall, result *sdk.ToolResult) json.RawMessage {
	return marshal(struct {
		Type    string     `json:"type"`
		ID      string     `json:"id"`
		Name    string     `json:"name"`
		Content []sdk.Part `json:"content"`
		IsError bool       `json:"is_error"`
	}{"tool_result", call.ID, call.Name, result.Parts, result.IsError})
}

func restartEvent(r *core.Run, after int64) json.RawMessage {
	return marshal(struct {
		Type    string `json:"type"`
		Attempt int    `json:"attempt"`
		// DropAfter is the id of the last event that still counts: the tokens
		// after it are sent anew.
		DropAfter int64 `json:"drop_after"`
	}{"restart", r.Attempt + 1, after})
}

func endEvent(r *core.Run, metadata json.RawMessage) json.RawMessage {
	return marshal(struct {
		Type      string          `json:"type"`
		MessageID string          `json:"message_id,omitempty"`
		Metadata  json.RawMessage `json:"metadata"`
	}{"end", r.AnswerID, metadata})
}

func errorEvent(r *core.Run, e *core.Error) json.RawMessage {
	type details struct {
		Reason    sdk.ErrorCode `json:"reason"`
		Retryable bool          `json:"retryable"`
	}
	type body struct {
		Code    core.Code `json:"code"`
		Message string    `json:"message"`
		Details details   `json:"details"`
	}
	return marshal(struct {
		Type  string `json:"type"`
		RunID string `json:"run_id"`
		Error body   `json:"error"`
	}{"error", r.ID, body{e.Code, e.Message, details{r.Error.Code, r.Error.Retryable}}})
}

// answerMetadata is what the API shows with an answer.
func answerMetadata(r *core.Run, finish string) json.RawMessage {
	return marshal(struct {
		Model        string         `json:"model,omitempty"`
		TokensUsed   int64          `json:"tokens_used"`
		RunID        string         `json:"run_id"`
		Status       core.RunStatus `json:"status"`
		FinishReason string         `json:"finish_reason,omitempty"`
		Usage        sdk.Usage      `json:"usage"`
	}{r.Model, r.Usage.Total(), r.ID, r.Status, finish, r.Usage})
}

// marshal encodes our own types, which can't fail.
func marshal(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
