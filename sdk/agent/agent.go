// Package agent is what the author of an agent type imports: implement Type
// and call Serve from main. A run is a plain loop against Host; the host
// records every call, so that a run that was cut by a crash is simply started
// again and arrives where it was. The loop must therefore be repeatable: take
// the time and randomness from Run, and make the same calls given the same replies.
package agent

import (
	"context"
	"encoding/json"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// Type is a type of agent. Its methods are called at the same time by many runs.
type Type interface {
	// Schema is the JSON Schema (draft 2020-12) of the config of an agent of
	// this type: an object.
	Schema() json.RawMessage
	// Run executes one run and returns its answer. ctx ends when the run is
	// cancelled or the host is gone.
	Run(ctx context.Context, run *Run, host Host) (*sdk.Message, error)
}

// Run is what one run starts from. It is the same at every start of the run.
type Run struct {
	ID        string
	AgentID   string
	SessionID string
	// Config is valid by the type's Schema.
	Config json.RawMessage
	// History is the conversation so far, oldest first, without Input.
	History []sdk.Message
	// Input is what the run shall answer.
	Input sdk.Message
	// Time is that of the run's first start, in UTC.
	Time time.Time
	// Seed is random.
	Seed uint64
}

// Host is what a run may ask for. Its methods may be called at the same time;
// calls are numbered in the order in which they are made, which must be
// repeatable too: use CallTools, rather than goroutines, for several at once.
type Host interface {
	// Complete asks a model for the next message.
	Complete(ctx context.Context, req *Completion) (*Answer, error)
	// ListTools gives the tools that the agent may use.
	ListTools(ctx context.Context) ([]sdk.Tool, error)
	// CallTools calls several tools at once and gives their results in the
	// same order. A tool's own failure is a result with IsError.
	CallTools(ctx context.Context, calls []sdk.ToolCall) ([]sdk.ToolResult, error)
	// ReadFile gives length bytes, MaxRead at the most, of a file from offset.
	// Fewer are the file's last; at or past its end there are none. It fails with
	// CodeNotFound for a file that is deleted or that the conversation does not
	// name: in the run's history or input, or because the run has written it.
	ReadFile(ctx context.Context, id string, offset, length int64) ([]byte, error)
}

// MaxRead is the most bytes that one ReadFile gives.
const MaxRead = 4 << 20

// Completion is a request for the next message.
type Completion struct {
	Model       string
	Messages    []sdk.Message
	Tools       []sdk.Tool
	Temperature *float64
	MaxTokens   *int64
	TopP        *float64
	Stop        []string
	// Forward has the host pass the text on to the run's watchers as it comes.
	Forward bool
	// Final makes an answer without tool calls the run's answer: the host ends
	// the run with it when it records the call, and Run should return.
	Final bool
	// OnDelta, if set, is called with each piece of the text as it comes, from
	// one goroutine at a time.
	OnDelta func(text string)
}

// Answer is a model's message.
type Answer struct {
	Message      sdk.Message `json:"message"`
	FinishReason string      `json:"finish_reason"`
	Usage        sdk.Usage   `json:"usage"`
	// Model is the one that answered.
	Model string `json:"model"`
}
