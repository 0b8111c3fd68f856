package main

import (
	"encoding/json"
	"math"
	"strings"

	"google.golang.org/genai"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// encode returns the contents and the config of a request. Adjacent messages of the same
// role become one content.
func (p *provider) encode(req *llm.Request) ([]*genai.Content, *genai.GenerateContentConfig, error) {
	config := &genai.GenerateContentConfig{
		StopSequences: req.Stop, Temperature: toFloat32(req.Temperature), TopP: toFloat32(req.TopP),
	}
	if req.MaxTokens != nil {
		config.MaxOutputTokens = int32(min(*req.MaxTokens, math.MaxInt32)) //nolint:gosec // limited to MaxInt32
	}
	var contents []*genai.Content
	names := map[string]string{} // id of a tool call to name of its tool
	for _, m := range req.Messages {
		if m.Role == sdk.RoleSystem {
			if config.SystemInstruction == nil {
				config.SystemInstruction = &genai.Content{}
			}
			config.SystemInstruction.Parts = append(config.SystemInstruction.Parts, &genai.Part{Text: remote.Text(m)})
			continue
		}
		parts, err := p.encodeMessage(req.Model, m, names)
		if err != nil {
			return nil, nil, err
		}
		role := genai.RoleUser
		if m.Role == sdk.RoleAssistant {
			role = genai.RoleModel
		}
		if last := len(contents) - 1; last >= 0 && contents[last].Role == role {
			contents[last].Parts = append(contents[last].Parts, parts...)
		} else if len(parts) > 0 {
			contents = append(contents, &genai.Content{Role: role, Parts: parts})
		}
	}
	var err error
	config.Tools, err = encodeTools(req.Tools)
	return contents, config, err
}

// toFloat32 converts an optional number.
func toFloat32(f *float64) *float32 {
	if f == nil {
		return nil
	}
	n := float32(*f)
	return &n
}

// encodeMessage returns the parts of a message. It adds the tool calls of the message to
// names, and looks up the names for tool results there.
func (p *provider) encodeMessage(model string, m sdk.Message, names map[string]string) ([]*genai.Part, error) {
	switch m.Role {
	case sdk.RoleUser:
		return encodeParts(m)
	case sdk.RoleAssistant:
		var parts []*genai.Part
		if text := remote.Text(m); text != "" {
			parts = append(parts, &genai.Part{Text: text})
		}
		for _, c := range m.ToolCalls {
			names[c.ID] = c.Name
			args := map[string]any{}
			_ = json.Unmarshal([]byte(c.Arguments), &args) // empty arguments if it is not an object
			parts = append(parts, &genai.Part{
				FunctionCall: &genai.FunctionCall{Name: c.Name, Args: args}, ThoughtSignature: p.signatures.get(model, c.ID),
			})
		}
		return parts, nil
	case sdk.RoleTool:
		key := "output"
		if m.ToolError {
			key = "error"
		}
		return []*genai.Part{{FunctionResponse: &genai.FunctionResponse{
			Name: names[m.ToolCallID], Response: map[string]any{key: remote.Text(m)},
		}}}, nil
	default:
		return nil, remote.Invalid("a message has the unknown role %q", m.Role)
	}
}

// encodeParts returns the parts of a user's message.
func encodeParts(m sdk.Message) ([]*genai.Part, error) {
	var parts []*genai.Part
	for _, p := range m.Parts {
		switch {
		case p.Blob == nil && p.Text != "":
			parts = append(parts, &genai.Part{Text: p.Text})
		case p.Blob == nil:
		case isAccepted(p.Blob.MediaType):
			parts = append(parts, &genai.Part{InlineData: &genai.Blob{MIMEType: p.Blob.MediaType, Data: p.Blob.Data}})
		default:
			return nil, remote.Invalid("a message contains %s, but only text, images, audio, video and PDF files can be sent",
				p.Blob.MediaType)
		}
	}
	return parts, nil
}

// isAccepted reports whether the API accepts a media type.
func isAccepted(mediaType string) bool {
	for _, prefix := range []string{"image/", "audio/", "video/", "application/pdf"} {
		if strings.HasPrefix(mediaType, prefix) {
			return true
		}
	}
	return false
}

// encodeTools converts the tools.
func encodeTools(tools []sdk.Tool) ([]*genai.Tool, error) {
	if len(tools) == 0 {
		return nil, nil
	}
	out := &genai.Tool{}
	for _, t := range tools {
		f := &genai.FunctionDeclaration{Name: t.Name, Description: t.Description}
		if t.Parameters != "" {
			schema, err := remote.ToolSchema(t.Parameters)
			if err != nil {
				return nil, remote.Invalid("the parameters of tool %q are not a JSON object", t.Name)
			}
			f.ParametersJsonSchema = schema
		}
		out.FunctionDeclarations = append(out.FunctionDeclarations, f)
	}
	return []*genai.Tool{out}, nil
}
