package hostcall

import (
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// Metrics counts completions and tool calls. Its methods must return quickly.
type Metrics interface {
	// Completion records a completion of a provider. first is the time until its first
	// chunk, or 0 if there was none. failure is empty if the completion succeeded.
	Completion(provider, model string, took, first time.Duration, usage sdk.Usage, failure sdk.ErrorCode)
	// CompletionRetried records that a completion is sent to a provider again.
	CompletionRetried(provider string)
	// ToolCall records a tool call. outcome is ok, error (reported by the tool itself),
	// failed or cancelled.
	ToolCall(outcome string, took time.Duration)
}
