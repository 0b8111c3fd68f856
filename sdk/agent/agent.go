// Package agent is for plugins of the kind agent, which implement an agent type. Implement Type and
// call Serve from main.
//
// A run is a loop that calls the methods of Host. The host records every call and its reply. If a
// crash interrupts a run, the host starts the run again and answers the calls from the record, so
// that the run continues where it was. Therefore the loop must be deterministic: given the same
// replies it must make the same calls. It must take the time and random numbers from Run.
package agent

import (
	"context"
	"encoding/json"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// Type is an agent type. Its methods must be safe for concurrent use.
type Type interface {
	// Schema returns the JSON Schema (draft 2020-12) of the config of agents of this type. The config
	// is an object.
	Schema() json.RawMessage
	// Run executes one run and returns its answer. The context is cancelled when the run is cancelled
	// or when the host exits.
	Run(ctx context.Context, run *Run, host Host) (*sdk.Message, error)
}

// Run is the input of a run. It is the same each time the run starts.
type Run struct {
	ID        string
	AgentID   string
	SessionID string
	// Config is the config of the agent. It matches the Schema of the agent type.
	Config json.RawMessage
	// History contains the earlier messages of the conversation, oldest first. It does not include
	// Input.
	History []sdk.Message
	// Input is the message that the run must answer.
	Input sdk.Message
	// Time is the time at which the run first started, in UTC.
	Time time.Time
	// Seed is a random number, for use as the seed of a random number generator.
	Seed uint64
}

// Host provides the calls that a run can make. Its methods are safe for concurrent use. The order of
// the calls must be deterministic too, because calls are numbered in the order in which they are
// made. To call several tools concurrently, use CallTools instead of goroutines.
type Host interface {
	// Complete asks a model to complete the messages of req.
	Complete(ctx context.Context, req *Completion) (*Answer, error)
	// ListTools returns the tools that the agent may use.
	ListTools(ctx context.Context) ([]sdk.Tool, error)
	// CallTools calls several tools concurrently and returns their results in the order of calls. A
	// failure that the tool itself reports is a result with IsError.
	CallTools(ctx context.Context, calls []sdk.ToolCall) ([]sdk.ToolResult, error)
	// ReadFile returns length bytes of a file, starting at offset. The length must not exceed MaxRead.
	// It returns fewer bytes only at the end of the file, and none at or after the end. It returns an
	// error with CodeNotFound if the file is deleted. It returns the same error if the run has no
	// access to the file: the history or the input must refer to it, or the run must have written it.
	ReadFile(ctx context.Context, id string, offset, length int64) ([]byte, error)
}

// MaxRead is the maximum number of bytes that one call of ReadFile returns.
const MaxRead = 4 << 20

// Completion is a request to complete messages with a model.
type Completion struct {
	Model    string
	Messages []sdk.Message
	Tools    []sdk.Tool
	// Temperature, MaxTokens and TopP are the sampling parameters. Nil means the provider's default.
	Temperature *float64
	MaxTokens   *int64
	TopP        *float64
	Stop        []string
	// Forward makes the host send the text to the clients that follow the run while the model
	// generates it.
	// If an agent type forwards nothing, the clients receive the answer in one piece at the end.
	Forward bool
	// Final makes an answer without tool calls the answer of the run. The host ends the run when it
	// records the call, so Run should return after such an answer.
	Final bool
	// OnDelta, if set, is called with each piece of the text while the model generates it. It is not
	// called concurrently.
	OnDelta func(text string)
}

// Answer is the result of a Completion.
type Answer struct {
	Message      sdk.Message `json:"message"`
	FinishReason string      `json:"finish_reason"`
	Usage        sdk.Usage   `json:"usage"`
	// Model is the model that generated the message.
	Model string `json:"model"`
}
