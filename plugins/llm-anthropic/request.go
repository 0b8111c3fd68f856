package main

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// encode returns the parameters of a request. Adjacent messages of the same role become one
// message, which the API requires for tool results.
func (p *provider) encode(req *llm.Request) (anthropic.MessageNewParams, error) {
	out := anthropic.MessageNewParams{Model: req.Model, MaxTokens: p.config.MaxTokens, StopSequences: req.Stop}
	if req.MaxTokens != nil {
		out.MaxTokens = *req.MaxTokens
	}
	if req.Temperature != nil {
		out.Temperature = anthropic.Float(*req.Temperature)
	}
	if req.TopP != nil {
		out.TopP = anthropic.Float(*req.TopP)
	}
	for _, m := range req.Messages {
		if m.Role == sdk.RoleSystem {
			if text := remote.Text(m); text != "" {
				out.System = append(out.System, anthropic.TextBlockParam{Text: text})
			}
			continue
		}
		role := anthropic.MessageParamRoleUser
		if m.Role == sdk.RoleAssistant {
			role = anthropic.MessageParamRoleAssistant
		}
		blocks, err := encodeMessage(m)
		if err != nil {
			return out, err
		}
		if last := len(out.Messages) - 1; last >= 0 && out.Messages[last].Role == role {
			out.Messages[last].Content = append(out.Messages[last].Content, blocks...)
		} else if len(blocks) > 0 {
			out.Messages = append(out.Messages, anthropic.MessageParam{Role: role, Content: blocks})
		}
	}
	tools := req.Tools
	if len(tools) == 0 {
		tools = usedTools(req.Messages)
	}
	for _, t := range tools {
		tool, err := encodeTool(t)
		if err != nil {
			return out, err
		}
		out.Tools = append(out.Tools, anthropic.ToolUnionParam{OfTool: tool})
	}
	return out, nil
}

// usedTools returns a tool without parameters for each tool that messages call. The API rejects tool calls in a
// request that declares no tools, which happens when an agent has lost its tools in the middle of a session.
func usedTools(messages []sdk.Message) []sdk.Tool {
	var tools []sdk.Tool
	for _, m := range messages {
		for _, c := range m.ToolCalls {
			if !slices.ContainsFunc(tools, func(t sdk.Tool) bool { return t.Name == c.Name }) {
				tools = append(tools, sdk.Tool{Name: c.Name, Description: "No longer available."})
			}
		}
	}
	return tools
}

// encodeID returns the ID of a tool call with characters that the API accepts. The call may come from a model
// of another provider.
func encodeID(id string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, id)
}

// encodeMessage returns the content blocks of a message.
func encodeMessage(m sdk.Message) ([]anthropic.ContentBlockParamUnion, error) {
	var blocks []anthropic.ContentBlockParamUnion
	switch m.Role {
	case sdk.RoleUser:
		return encodeParts(m)
	case sdk.RoleAssistant:
		if text := strings.TrimRight(remote.Text(m), " \t\r\n"); text != "" { // the API rejects trailing white space
			blocks = append(blocks, anthropic.NewTextBlock(text))
		}
		for _, c := range m.ToolCalls {
			input := json.RawMessage(c.Arguments)
			if !json.Valid(input) {
				input = json.RawMessage("{}")
			}
			blocks = append(blocks, anthropic.NewToolUseBlock(encodeID(c.ID), input, c.Name))
		}
	case sdk.RoleTool:
		blocks = append(blocks, anthropic.NewToolResultBlock(encodeID(m.ToolCallID), remote.Text(m), m.ToolError))
	default:
		return nil, remote.Invalid("a message has the unknown role %q", m.Role)
	}
	return blocks, nil
}

// imageTypes are the image types that the API accepts.
var imageTypes = []string{"image/jpeg", "image/png", "image/gif", "image/webp"}

// encodeParts returns the content blocks of a user's message.
func encodeParts(m sdk.Message) ([]anthropic.ContentBlockParamUnion, error) {
	var blocks []anthropic.ContentBlockParamUnion
	for _, p := range m.Parts {
		switch {
		case p.Blob == nil && p.Text != "":
			blocks = append(blocks, anthropic.NewTextBlock(p.Text))
		case p.Blob == nil: // the API rejects an empty text
		case slices.Contains(imageTypes, p.Blob.MediaType):
			blocks = append(blocks,
				anthropic.NewImageBlockBase64(p.Blob.MediaType, base64.StdEncoding.EncodeToString(p.Blob.Data)))
		case p.Blob.MediaType == "application/pdf":
			blocks = append(blocks,
				anthropic.NewDocumentBlock(anthropic.Base64PDFSourceParam{Data: base64.StdEncoding.EncodeToString(p.Blob.Data)}))
		default:
			return nil, remote.Invalid("a message contains %s, but only text, PDF files and JPEG, PNG, GIF and WebP images "+
				"can be sent", p.Blob.MediaType)
		}
	}
	return blocks, nil
}

// encodeTool converts a tool.
func encodeTool(t sdk.Tool) (*anthropic.ToolParam, error) {
	tool := &anthropic.ToolParam{Name: t.Name}
	if t.Description != "" {
		tool.Description = anthropic.String(t.Description)
	}
	parameters, err := remote.ToolSchema(t.Parameters)
	var schema map[string]any
	if err == nil {
		err = json.Unmarshal(parameters, &schema)
	}
	if err != nil {
		return nil, remote.Invalid("the parameters of tool %q are not a JSON object", t.Name)
	}
	delete(schema, "type") // the SDK adds "object", the only valid type
	tool.InputSchema.ExtraFields = schema
	return tool, nil
}
