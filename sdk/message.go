package sdk

import "strings"

// Role is the author of a Message.
type Role string

// These are the roles in a conversation.
const (
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool"
)

// Message is one message of a conversation.
type Message struct {
	Role  Role   `json:"role"`
	Parts []Part `json:"parts,omitempty"`
	// ToolCalls are the tool calls that the model requests. Only a message of RoleAssistant has them.
	ToolCalls []ToolCall `json:"tool_calls,omitempty"`
	// ToolCallID is the ID of the tool call whose result a message of RoleTool carries.
	ToolCallID string `json:"tool_call_id,omitempty"`
	// ToolError reports whether the tool of a message of RoleTool reported a failure.
	ToolError bool `json:"tool_error,omitempty"`
}

// Part is a piece of the content of a Message. Exactly one of its fields is set.
type Part struct {
	Text string `json:"text,omitempty"`
	Blob *Blob  `json:"blob,omitempty"`
	File *File  `json:"file,omitempty"`
}

// File refers to a file that the host stores. An agent may put it into the messages of a completion.
// Before the provider receives these messages, the host replaces each File by the file's content, or
// by a text that names the file if the model does not accept its media type.
type File struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// MediaType is a MIME type, possibly with a charset. Example: text/plain; charset=utf-8.
	MediaType string `json:"media_type"`
	// Size is the size in bytes.
	Size int64 `json:"size"`
}

// Blob is binary content, such as an image.
type Blob struct {
	// MediaType is a MIME type. Example: image/png.
	MediaType string `json:"media_type"`
	Data      []byte `json:"data"`
	Name      string `json:"name,omitempty"`
}

// Text returns a message whose only part is text.
func Text(role Role, text string) Message {
	return Message{Role: role, Parts: []Part{{Text: text}}}
}

// Text returns the concatenated texts of the parts of the message.
func (m Message) Text() string {
	if len(m.Parts) == 1 {
		return m.Parts[0].Text
	}
	var b strings.Builder
	for _, p := range m.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// Usage counts the tokens of a completion.
type Usage struct {
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
	// CachedInputTokens is the number of input tokens that the provider read from its cache.
	// InputTokens includes them.
	CachedInputTokens int64 `json:"cached_input_tokens,omitempty"`
	// ReasoningTokens is the number of output tokens that the model used for reasoning. OutputTokens
	// includes them.
	ReasoningTokens int64 `json:"reasoning_tokens,omitempty"`
}

// Total returns the sum of the input and output tokens.
func (u Usage) Total() int64 { return u.InputTokens + u.OutputTokens }

// Add returns the sum of u and v.
func (u Usage) Add(v Usage) Usage {
	u.InputTokens += v.InputTokens
	u.OutputTokens += v.OutputTokens
	u.CachedInputTokens += v.CachedInputTokens
	u.ReasoningTokens += v.ReasoningTokens
	return u
}
