package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/agentarea/agentarea/sdk"
)

// Call is a call of a run as the host receives it. Exactly one of Complete, CallTool, ListTools and
// ReadFile is set.
type Call struct {
	// Number is the number of the call within the run. The first call has number 1.
	Number    uint64
	Complete  *Completion
	CallTool  *sdk.ToolCall
	ListTools bool
	// ReadFile has passed FileRange.Check.
	ReadFile *FileRange
}

// FileRange is a range of bytes of a file.
type FileRange struct {
	FileID string `json:"file_id"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
}

// Check returns an error with CodeInvalidRequest if the range is negative or longer than MaxRead.
func (r *FileRange) Check() error {
	if r.Offset < 0 || r.Length < 0 || r.Length > MaxRead {
		return &sdk.Error{Code: sdk.CodeInvalidRequest, Message: fmt.Sprintf(
			"invalid range of file %q: offset %d, length %d; neither may be negative, and the maximum length is %d",
			r.FileID, r.Offset, r.Length, MaxRead)}
	}
	return nil
}

// Result is the result of a Call. The field that belongs to the kind of the call is set.
type Result struct {
	Answer     *Answer         `json:"answer,omitempty"`
	ToolResult *sdk.ToolResult `json:"tool_result,omitempty"`
	Tools      []sdk.Tool      `json:"tools,omitempty"`
	// Data contains the bytes of the file. The JSON omits them, so that the record of a run does not
	// contain files.
	Data []byte `json:"-"`
}

// Handler executes the calls of a run in the host.
type Handler interface {
	// Handle executes one call. It is called concurrently for calls that are in progress at the same
	// time. The context is cancelled when the run ends. The plugin receives an error as an *sdk.Error.
	Handle(ctx context.Context, call *Call) (*Result, error)
}

// ErrPluginCrashed means that the plugin's process exited, or that its connection broke, before the
// run was finished.
var ErrPluginCrashed = errors.New("the plugin exited during the run")

// Runner is the host's view of a Type in another process. *Client implements it.
type Runner interface {
	// Run executes one run, uses handler to execute its calls, and returns the answer. The answer is
	// nil if a final completion was the answer. When ctx is done, Run asks the plugin to cancel the
	// run and closes the stream. An error of the loop is an *sdk.Error. If the plugin crashed, the
	// error has CodePluginCrashed and wraps ErrPluginCrashed. When Run returns, all calls of handler
	// have returned.
	Run(ctx context.Context, run *Run, handler Handler) (*sdk.Message, error)
}
