package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/agentarea/agentarea/sdk"
)

// Call is a numbered call as the host gets it: exactly one of Complete,
// CallTool, ListTools and ReadFile is set.
type Call struct {
	// Number counts a run's calls from 1.
	Number    uint64
	Complete  *Completion
	CallTool  *sdk.ToolCall
	ListTools bool
	// ReadFile is one that Check allows.
	ReadFile *FileRange
}

// FileRange is a part of a file, in bytes.
type FileRange struct {
	FileID string `json:"file_id"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
}

// Check is nil, or an error of CodeInvalidRequest.
func (r *FileRange) Check() error {
	if r.Offset < 0 || r.Length < 0 || r.Length > MaxRead {
		return &sdk.Error{Code: sdk.CodeInvalidRequest, Message: fmt.Sprintf(
			"a read of %d bytes from offset %d: at most %d can be read at once, from 0 on", r.Length, r.Offset, MaxRead)}
	}
	return nil
}

// Result is what a call gives: Answer, ToolResult, Tools or Data, as was asked for.
type Result struct {
	Answer     *Answer         `json:"answer,omitempty"`
	ToolResult *sdk.ToolResult `json:"tool_result,omitempty"`
	Tools      []sdk.Tool      `json:"tools,omitempty"`
	// Data is what was read of a file. It is no part of the JSON, so that a record
	// does not hold the file.
	Data []byte `json:"-"`
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
