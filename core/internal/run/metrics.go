package run

import (
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// Metrics is told what the engine does, as it does it: it must not take long.
type Metrics interface {
	// RunStarted tells of a run that is executed here from now on, and RunEnded of its
	// end here, with its status, left or deferred.
	RunStarted(kind core.RunKind)
	RunEnded(kind core.RunKind, status string, took time.Duration)
	// FirstToken tells how long after its start a run showed something.
	FirstToken(kind core.RunKind, after time.Duration)
	// TaskBegun tells how long a task has waited for its first attempt.
	TaskBegun(p core.TaskPriority, waited time.Duration)
	// Completion tells of one that a provider was asked for: first is until its first
	// piece, 0 without one, and failure is empty when all went well.
	Completion(provider, model string, took, first time.Duration, usage sdk.Usage, failure sdk.ErrorCode)
	// CompletionRetried tells that a provider is asked again.
	CompletionRetried(provider string)
	// ToolCall tells of a call whose outcome is ok, error (the tool's own word), failed or cancelled.
	ToolCall(outcome string, took time.Duration)
}

// How runs end here that have not ended.
const (
	outcomeLeft     = "left"
	outcomeDeferred = "deferred"
)

type noMetrics struct{}

func (noMetrics) RunStarted(core.RunKind)                      {}
func (noMetrics) RunEnded(core.RunKind, string, time.Duration) {}
func (noMetrics) FirstToken(core.RunKind, time.Duration)       {}
func (noMetrics) TaskBegun(core.TaskPriority, time.Duration)   {}
func (noMetrics) CompletionRetried(string)                     {}
func (noMetrics) ToolCall(string, time.Duration)               {}

func (noMetrics) Completion(string, string, time.Duration, time.Duration, sdk.Usage, sdk.ErrorCode) {}
