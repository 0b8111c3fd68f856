package main

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// The fields of the JSON of /api/chat that this plugin uses.
type (
	chatRequest struct {
		Model     string         `json:"model"`
		Messages  []message      `json:"messages"`
		Tools     []tool         `json:"tools,omitempty"`
		Stream    bool           `json:"stream"`
		KeepAlive any            `json:"keep_alive,omitempty"`
		Options   map[string]any `json:"options,omitempty"`
	}
	message struct {
		Role      string     `json:"role"`
		Content   string     `json:"content"`
		Thinking  string     `json:"thinking,omitempty"`
		Images    [][]byte   `json:"images,omitempty"`
		ToolCalls []toolCall `json:"tool_calls,omitempty"`
		ToolName  string     `json:"tool_name,omitempty"`
	}
	toolCall struct {
		Function function `json:"function"`
	}
	function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}
	tool struct {
		Type     string       `json:"type"`
		Function toolFunction `json:"function"`
	}
	toolFunction struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters"`
	}
	chatResponse struct {
		Model           string  `json:"model"`
		Message         message `json:"message"`
		Done            bool    `json:"done"`
		DoneReason      string  `json:"done_reason"`
		PromptEvalCount int64   `json:"prompt_eval_count"`
		EvalCount       int64   `json:"eval_count"`
		Error           string  `json:"error"`
	}
)

// encode returns the body of a request.
func (p *provider) encode(req *llm.Request) (*chatRequest, error) {
	out := &chatRequest{Model: req.Model, Stream: true, Options: map[string]any{}, Messages: []message{}}
	if k := p.config.KeepAlive; k != "" {
		out.KeepAlive = k
		if n, err := strconv.Atoi(k); err == nil {
			out.KeepAlive = n // seconds, or -1
		}
	}
	if p.config.NumCtx > 0 {
		out.Options["num_ctx"] = p.config.NumCtx
	}
	if req.Temperature != nil {
		out.Options["temperature"] = *req.Temperature
	}
	if req.TopP != nil {
		out.Options["top_p"] = *req.TopP
	}
	if req.MaxTokens != nil {
		out.Options["num_predict"] = *req.MaxTokens
	}
	if len(req.Stop) > 0 {
		out.Options["stop"] = req.Stop
	}
	names := map[string]string{} // id of a tool call to name of its tool
	for _, m := range req.Messages {
		encoded, err := encodeMessage(m, names)
		if err != nil {
			return nil, err
		}
		out.Messages = append(out.Messages, encoded)
	}
	for _, t := range req.Tools {
		parameters, err := remote.ToolSchema(t.Parameters)
		if err != nil {
			return nil, remote.Invalid("the parameters of tool %q are not a JSON object", t.Name)
		}
		out.Tools = append(out.Tools,
			tool{Type: "function", Function: toolFunction{Name: t.Name, Description: t.Description, Parameters: parameters}})
	}
	return out, nil
}

// encodeMessage converts a message. It adds the tool calls of the message to names, and
// looks up the names for tool results there.
func encodeMessage(m sdk.Message, names map[string]string) (message, error) {
	out := message{Role: string(m.Role)}
	switch m.Role {
	case sdk.RoleUser:
		for _, p := range m.Parts {
			switch {
			case p.Blob == nil:
				out.Content += p.Text
			case strings.HasPrefix(p.Blob.MediaType, "image/"):
				out.Images = append(out.Images, p.Blob.Data)
			default:
				return out, remote.Invalid("a message contains %s, but only text and images can be sent", p.Blob.MediaType)
			}
		}
		return out, nil
	case sdk.RoleAssistant:
		for _, c := range m.ToolCalls {
			names[c.ID] = c.Name
			arguments := json.RawMessage(c.Arguments)
			if !json.Valid(arguments) {
				arguments = json.RawMessage("{}")
			}
			out.ToolCalls = append(out.ToolCalls, toolCall{Function: function{Name: c.Name, Arguments: arguments}})
		}
	case sdk.RoleTool:
		out.ToolName = names[m.ToolCallID]
	case sdk.RoleSystem:
	default:
		return out, remote.Invalid("a message has the unknown role %q", m.Role)
	}
	out.Content = remote.Text(m)
	return out, nil
}
