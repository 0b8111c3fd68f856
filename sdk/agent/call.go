package agent

import (
	"context"
	"errors"

	"github.com/agentarea/agentarea/sdk"
)

// Call is a numbered call as the host gets it: exactly one of Complete,
// CallTool and ListTools is set.
type Call struct {
	// Number counts a run's calls from 1.
	Number    uint64
	Complete  *Completion
	CallTool  *sdk.ToolCall
	ListTools bool
}

// Result is what a call gives: Answer, ToolResult or Tools, as was asked for.
type Result struct {
	Answer     *Answer         `json:"answer,omitempty"`
	ToolResult *sdk.ToolResult `json:"tool_result,omitempty"`
	Tools      []sdk.Tool      `json:"tools,omitempty"`
}

// Handler answers a run's calls on the host's side. It is called at the same
// time for calls that are under way together; ctx ends with the run. An error
// reaches the plugin as *sdk.Error.
type Handler interface {
	Handle(ctx context.Context, call *Call) (*Result, error)
}

// ErrDied says that the plugin's process ended, or its connection broke, before
// the run was finished.
var ErrDied = errors.New("the plugin died during the run")

// Runner is what the host holds of a Type in another process. *Client implements it.
type Runner interface {
	// Run executes one run with handler for its calls, and returns the answer;
	// it is nil when a final completion gave it. When ctx ends the plugin is
	// told to cancel and the stream is cut. An error of the loop is an *sdk.Error;
	// when the plugin died it is one of CodePluginCrashed and wraps ErrDied too.
	// All calls of handler have returned when Run returns.
	Run(ctx context.Context, run *Run, handler Handler) (*sdk.Message, error)
}
