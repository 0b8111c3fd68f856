package run

import (
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run/hostcall"
	"github.com/agentarea/agentarea/sdk"
)

// Metrics counts the actions of the engine. Its methods must return quickly.
type Metrics interface {
	// RunStarted records a run whose execution starts on this server.
	RunStarted(kind core.RunKind)
	// RunEnded records that the execution of a run ended on this server. status is the
	// status of the run, or "left" or "deferred" if the run continues later.
	RunEnded(kind core.RunKind, status string, took time.Duration)
	// FirstToken records the time from the start of a run to its first text.
	FirstToken(kind core.RunKind, after time.Duration)
	// TaskBegun records how long a task has waited for its first attempt.
	TaskBegun(p core.TaskPriority, waited time.Duration)

	hostcall.Metrics
}

type noMetrics struct{}

func (noMetrics) RunStarted(core.RunKind)                      {}
func (noMetrics) RunEnded(core.RunKind, string, time.Duration) {}
func (noMetrics) FirstToken(core.RunKind, time.Duration)       {}
func (noMetrics) TaskBegun(core.TaskPriority, time.Duration)   {}
func (noMetrics) CompletionRetried(string)                     {}
func (noMetrics) ToolCall(string, time.Duration)               {}

func (noMetrics) Completion(string, string, time.Duration, time.Duration, sdk.Usage, sdk.ErrorCode) {}
