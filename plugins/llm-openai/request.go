package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// The fields of a request's JSON that this plugin uses.
type (
	chatRequest struct {
		Model               string         `json:"model"`
		Messages            []message      `json:"messages"`
		Tools               []tool         `json:"tools,omitempty"`
		Temperature         *float64       `json:"temperature,omitempty"`
		TopP                *float64       `json:"top_p,omitempty"`
		MaxTokens           *int64         `json:"max_tokens,omitempty"`
		MaxCompletionTokens *int64         `json:"max_completion_tokens,omitempty"`
		Stop                []string       `json:"stop,omitempty"`
		Stream              bool           `json:"stream,omitempty"`
		StreamOptions       *streamOptions `json:"stream_options,omitempty"`
	}
	streamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	}
	message struct {
		Role string `json:"role"`
		// Content is a string, a list of part, or nil.
		Content    any        `json:"content"`
		ToolCalls  []toolCall `json:"tool_calls,omitempty"`
		ToolCallID string     `json:"tool_call_id,omitempty"`
	}
	part struct {
		Type     string    `json:"type"`
		Text     string    `json:"text,omitempty"`
		ImageURL *imageURL `json:"image_url,omitempty"`
		File     *file     `json:"file,omitempty"`
	}
	imageURL struct {
		URL string `json:"url"`
	}
	file struct {
		Filename string `json:"filename"`
		FileData string `json:"file_data"`
	}
	toolCall struct {
		ID       string       `json:"id"`
		Type     string       `json:"type"`
		Function callFunction `json:"function"`
	}
	callFunction struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	}
	tool struct {
		Type     string       `json:"type"`
		Function toolFunction `json:"function"`
	}
	toolFunction struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters,omitempty"`
	}
)

// reasoningModel matches OpenAI's models that reject max_tokens, with or without a
// gateway's prefix.
var reasoningModel = regexp.MustCompile(`^(.*/)?(o[0-9]|gpt-5)`)

// encode returns the body of a request.
func (p *provider) encode(req *llm.Request) ([]byte, error) {
	out := chatRequest{
		Model: req.Model, Temperature: req.Temperature, TopP: req.TopP, Stop: req.Stop, Stream: req.Stream,
		Messages: make([]message, 0, len(req.Messages)),
	}
	// OpenAI accepts max_completion_tokens for every model and has deprecated max_tokens. Most
	// compatible servers only know max_tokens. A proxy for OpenAI is detected by the model's name.
	if p.isOpenAI || reasoningModel.MatchString(req.Model) {
		out.MaxCompletionTokens = req.MaxTokens
	} else {
		out.MaxTokens = req.MaxTokens
	}
	if req.Stream && p.config.StreamOptions && !p.noStreamOptions.Load() {
		out.StreamOptions = &streamOptions{IncludeUsage: true}
	}
	for _, m := range req.Messages {
		encoded, err := encodeMessage(m)
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
		out.Tools = append(out.Tools, tool{
			Type: "function", Function: toolFunction{Name: t.Name, Description: t.Description, Parameters: parameters},
		})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return nil, remote.Invalid("the request cannot be encoded as JSON: %v", err)
	}
	return b.Bytes(), nil
}

// encodeMessage converts a message.
func encodeMessage(m sdk.Message) (message, error) {
	out := message{Role: string(m.Role), ToolCallID: m.ToolCallID}
	switch m.Role {
	case sdk.RoleUser:
		content, err := encodeParts(m)
		out.Content = content
		return out, err
	case sdk.RoleAssistant:
		for _, c := range m.ToolCalls {
			arguments := c.Arguments
			if arguments == "" {
				arguments = "{}"
			}
			out.ToolCalls = append(out.ToolCalls, toolCall{
				ID: c.ID, Type: "function", Function: callFunction{Name: c.Name, Arguments: arguments},
			})
		}
		if text := remote.Text(m); text != "" || len(m.ToolCalls) == 0 {
			out.Content = text
		}
		return out, nil
	case sdk.RoleSystem, sdk.RoleTool:
		out.Content = remote.Text(m)
		return out, nil
	default:
		return out, remote.Invalid("a message has the unknown role %q", m.Role)
	}
}

// encodeParts returns a string, or a list of parts if there is more than text.
func encodeParts(m sdk.Message) (any, error) {
	textOnly := true
	parts := make([]part, 0, len(m.Parts))
	for _, p := range m.Parts {
		switch {
		case p.Blob == nil:
			parts = append(parts, part{Type: "text", Text: p.Text})
			continue
		case strings.HasPrefix(p.Blob.MediaType, "image/"):
			parts = append(parts, part{Type: "image_url", ImageURL: &imageURL{URL: dataURL(p.Blob)}})
		case p.Blob.MediaType == "application/pdf":
			name := p.Blob.Name
			if name == "" {
				name = "document.pdf"
			}
			parts = append(parts, part{Type: "file", File: &file{Filename: name, FileData: dataURL(p.Blob)}})
		default:
			return nil, remote.Invalid("a message contains %s, but only text, images and PDF files can be sent",
				p.Blob.MediaType)
		}
		textOnly = false
	}
	if textOnly {
		return m.Text(), nil
	}
	return parts, nil
}

// dataURL returns the data URL of a blob.
func dataURL(b *sdk.Blob) string {
	return "data:" + b.MediaType + ";base64," + base64.StdEncoding.EncodeToString(b.Data)
}
