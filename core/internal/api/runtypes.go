package api

import (
	"strconv"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// Usage is the number of tokens of a run or a task.
type Usage struct {
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
}

// NewUsage returns the body for u.
func NewUsage(u sdk.Usage) Usage {
	return Usage{InputTokens: u.InputTokens, OutputTokens: u.OutputTokens}
}

// RunError is the error of a failed run, or of a failed attempt of a task.
type RunError struct {
	Code      sdk.ErrorCode `json:"code" doc:"For example rate_limited, unavailable, timeout or plugin_crashed"`
	Message   string        `json:"message"`
	Retryable bool          `json:"retryable" doc:"Whether the same message may succeed later"`
}

// NewRunError returns the body for the error of a run, or nil. It replaces the text of an internal error, which is
// for the log only.
func NewRunError(e *sdk.Error, runID string) *RunError {
	if e == nil {
		return nil
	}
	b := &RunError{Code: e.Code, Message: e.Message, Retryable: e.Retryable}
	if e.Code == sdk.CodeInternal {
		b.Message = core.InternalRunError(runID)
	}
	return b
}

// LastEventID returns the number of the event after which a stream continues: that of the
// Last-Event-ID header, or else after.
func LastEventID(header string, after int64) (int64, error) {
	if header == "" {
		return after, nil
	}
	n, err := strconv.ParseInt(header, 10, 64)
	if err != nil || n < 0 {
		return 0, core.Invalid("Last-Event-ID", "Must be the id of an event, such as 17")
	}
	return n, nil
}
