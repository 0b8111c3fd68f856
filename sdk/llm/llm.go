// Package llm is what the author of an LLM provider imports: implement
// Provider and call Serve from main. The host holds the same interface, made by
// NewClient from a plugin's connection.
package llm

import (
	"context"

	"github.com/agentarea/agentarea/sdk"
)

// Provider serves language models. Its methods are called at the same time by
// many runs. Errors that are not *sdk.Error reach the host as CodeInternal.
type Provider interface {
	// ListModels gives the models that the provider serves now.
	ListModels(ctx context.Context) ([]Model, error)
	// Chat completes a conversation: it sends deltas to out as they come and
	// returns how the answer ended. ctx ends when nobody wants the answer.
	Chat(ctx context.Context, req *Request, out Stream) (*Finish, error)
}

// Stream takes the pieces of an answer, in order, from one goroutine. What can't
// be sent at once goes with the next piece; Send waits only when thousands do.
type Stream interface {
	Send(Delta) error
}

// Delta is a piece of an answer: exactly one of its fields is set.
type Delta struct {
	Text      string
	ToolCall  *ToolCallDelta
	Reasoning string
}

// ToolCallDelta adds to the tool call of its Index.
type ToolCallDelta struct {
	Index int
	// ID and Name come with the first delta of an Index.
	ID, Name string
	// Arguments is the next piece of the JSON arguments.
	Arguments string
}

// Model is one that a provider serves.
type Model struct {
	// ID is the name that a Request carries.
	ID          string
	DisplayName string
	// ContextWindow counts tokens of input and output; 0 when unknown.
	ContextWindow int64
	// MaxOutputTokens is the longest answer; 0 when unknown.
	MaxOutputTokens int64
	// Capabilities are of tools, images, json_schema, reasoning.
	Capabilities []string
}

// Request asks for the next message of a conversation.
type Request struct {
	Model    string
	Messages []sdk.Message
	Tools    []sdk.Tool
	Parameters
	// Stream says that somebody watches; without, one delta is enough.
	Stream bool
	// RunID is for logs.
	RunID string
}

// Parameters shape an answer; an unset one is the provider's default.
type Parameters struct {
	Temperature *float64
	MaxTokens   *int64
	TopP        *float64
	Stop        []string
}

// Finish is how an answer ended.
type Finish struct {
	Reason FinishReason
	Usage  sdk.Usage
	// Model is the one that answered, in the provider's words.
	Model string
}

// FinishReason says why an answer ended.
type FinishReason string

// The reasons.
const (
	FinishStop          FinishReason = "stop"
	FinishLength        FinishReason = "length"
	FinishToolCalls     FinishReason = "tool_calls"
	FinishContentFilter FinishReason = "content_filter"
)
