package sdk

import "strings"

// Role says who speaks in a Message.
type Role string

// The roles of a conversation.
const (
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool"
)

// Message is one entry of a conversation.
type Message struct {
	Role  Role   `json:"role"`
	Parts []Part `json:"parts,omitempty"`
	// ToolCalls are the tools that an assistant's message asks for.
	ToolCalls []ToolCall `json:"tool_calls,omitempty"`
	// ToolCallID names the call that a tool's message answers.
	ToolCallID string `json:"tool_call_id,omitempty"`
	// ToolError says that the tool reported a failure.
	ToolError bool `json:"tool_error,omitempty"`
}

// Part is a piece of content: Text, or else Blob or File.
type Part struct {
	Text string `json:"text,omitempty"`
	Blob *Blob  `json:"blob,omitempty"`
	File *File  `json:"file,omitempty"`
}

// File names a file that the host keeps. A completion may carry it: the host puts
// its content, or a note where the model can't take it, in its place.
type File struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// MediaType is a MIME type, perhaps with a charset: text/plain; charset=utf-8.
	MediaType string `json:"media_type"`
	// Size is in bytes.
	Size int64 `json:"size"`
}

// Blob is binary content, such as an image.
type Blob struct {
	// MediaType is a MIME type: image/png.
	MediaType string `json:"media_type"`
	Data      []byte `json:"data"`
	Name      string `json:"name,omitempty"`
}

// Text makes a message of one text.
func Text(role Role, text string) Message {
	return Message{Role: role, Parts: []Part{{Text: text}}}
}

// Text joins the texts of the message's parts.
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

// Usage counts the tokens of one completion.
type Usage struct {
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
	// CachedInputTokens are those of the input that came from the provider's cache.
	CachedInputTokens int64 `json:"cached_input_tokens,omitempty"`
	// ReasoningTokens are those of the output that were spent on reasoning.
	ReasoningTokens int64 `json:"reasoning_tokens,omitempty"`
}

// Total is input and output together.
func (u Usage) Total() int64 { return u.InputTokens + u.OutputTokens }

// Add sums two counts.
func (u Usage) Add(v Usage) Usage {
	u.InputTokens += v.InputTokens
	u.OutputTokens += v.OutputTokens
	u.CachedInputTokens += v.CachedInputTokens
	u.ReasoningTokens += v.ReasoningTokens
	return u
}
