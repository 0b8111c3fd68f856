// Package llm is for plugins of the kind llm, which are providers of language models. Implement
// Provider and call Serve from main. The host uses the same interface: NewClient returns a Provider
// for the connection to a plugin.
package llm

import (
	"context"

	"github.com/agentarea/agentarea/sdk"
)

// Provider serves language models. Its methods must be safe for concurrent use. If a method returns an
// error that is not an *sdk.Error, the host receives it as an *sdk.Error with CodeInternal.
type Provider interface {
	// ListModels returns the models that the provider currently serves.
	ListModels(ctx context.Context) ([]Model, error)
	// Chat completes a conversation. It sends deltas to out while the model generates the answer, and
	// returns why the answer ended. The context is cancelled when the answer is no longer needed.
	Chat(ctx context.Context, req *Request, out Stream) (*Finish, error)
}

// Stream receives the pieces of an answer, in order. It must be used by one goroutine at a time.
type Stream interface {
	// Send sends a delta. It does not wait for the receiver: a delta that cannot be sent immediately is
	// sent together with the following ones. Send blocks only if thousands of deltas are waiting.
	Send(Delta) error
}

// Delta is a piece of an answer. Exactly one of its fields is set.
type Delta struct {
	Text      string
	ToolCall  *ToolCallDelta
	Reasoning string
}

// ToolCallDelta is a piece of a tool call. The pieces of one tool call have the same Index.
type ToolCallDelta struct {
	// Index is the position of the tool call in the answer. The first tool call has Index 0.
	Index int
	// ID and Name are set in the first delta of an Index.
	ID, Name string
	// Arguments is the next piece of the arguments, which together are a JSON object.
	Arguments string
}

// Model describes a model that a provider serves.
type Model struct {
	// ID is the value of Request.Model.
	ID string
	// DisplayName is the name for people. It may be empty.
	DisplayName string
	// ContextWindow is the maximum number of input and output tokens together, or 0 if it is unknown.
	ContextWindow int64
	// MaxOutputTokens is the maximum number of tokens of an answer, or 0 if it is unknown.
	MaxOutputTokens int64
	// Capabilities lists the features that the model supports: tools, images, json_schema, reasoning.
	Capabilities []string
}

// Request is a request to complete a conversation.
type Request struct {
	Model    string
	Messages []sdk.Message
	Tools    []sdk.Tool
	Parameters
	// Stream reports whether a client follows the completion. If it is false, the provider may send the
	// whole answer in one delta.
	Stream bool
	// RunID is the ID of the run, for log messages.
	RunID string
}

// Parameters contains the sampling parameters. Nil means the provider's default.
type Parameters struct {
	Temperature *float64
	MaxTokens   *int64
	TopP        *float64
	Stop        []string
}

// Finish is the result of a completion.
type Finish struct {
	Reason FinishReason
	Usage  sdk.Usage
	// Model is the name of the model that generated the answer, as the provider reports it.
	Model string
}

// FinishReason is the reason why a model stopped.
type FinishReason string

// These are the finish reasons.
const (
	FinishStop          FinishReason = "stop"
	FinishLength        FinishReason = "length"
	FinishToolCalls     FinishReason = "tool_calls"
	FinishContentFilter FinishReason = "content_filter"
)
