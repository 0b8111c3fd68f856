package hostcall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run/journal"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// Toolbox provides the tools of a run's agent.
type Toolbox interface {
	// Tools returns the tools that the agent of run may use.
	Tools(ctx context.Context, run *core.Run) ([]sdk.Tool, error)
	// Call calls a tool. A failure that the tool itself reports is a result with IsError.
	// A call that is repeated after a crash has the same number as before.
	Call(ctx context.Context, run *core.Run, number uint64, call sdk.ToolCall) (*sdk.ToolResult, error)
}

// NoTools is the Toolbox of a server without tools.
type NoTools struct{}

// Tools implements Toolbox.
func (NoTools) Tools(context.Context, *core.Run) ([]sdk.Tool, error) { return nil, nil }

// Call implements Toolbox.
func (NoTools) Call(_ context.Context, _ *core.Run, _ uint64, call sdk.ToolCall) (*sdk.ToolResult, error) {
	return toolFailure("There is no tool %q.", call.Name), nil
}

// toolFailure returns a result that describes a failure to the model.
func toolFailure(format string, args ...any) *sdk.ToolResult {
	return &sdk.ToolResult{Parts: []sdk.Part{{Text: fmt.Sprintf(format, args...)}}, IsError: true}
}

// toolCaller handles the host calls ListTools and CallTool.
type toolCaller struct {
	run      *core.Run
	toolbox  *FileTools
	recorder Recorder
	logger   *slog.Logger
	metrics  Metrics
	tracer   trace.Tracer
	// leaseExpired reports whether another server may have taken over the run.
	leaseExpired func() bool
}

// list returns the tools of the run.
func (t *toolCaller) list(ctx context.Context, record *core.Call) (*agent.Result, error) {
	tools, err := t.toolbox.Tools(ctx, t.run)
	result := &agent.Result{Tools: tools}
	if !journal.Finish(ctx, record, result, err) {
		return nil, err
	}
	if recordErr := t.recorder.Record(record, nil); recordErr != nil {
		return nil, recordErr
	}
	return result, err
}

// call calls a tool. It records the start of the call first, so that the next attempt
// knows about a call that a crash interrupted. Only a tool that declares itself read-only
// or idempotent is then called again.
func (t *toolCaller) call(
	ctx context.Context, call *sdk.ToolCall, record *core.Call, interrupted bool,
) (*agent.Result, error) {
	record.Request = journal.Marshal(call)
	if !interrupted {
		if err := t.recorder.Record(record, toolCallEvent(call)); err != nil {
			return nil, err
		}
	}
	if t.leaseExpired() {
		// The server was paused since the start was recorded. This write fails if another server has the run, which
		// has repeated the call by now, or has told the model that the outcome is unknown.
		if err := t.recorder.Record(record, nil); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil { // the run may have been taken over and abandoned meanwhile
		return nil, context.Cause(ctx)
	}
	result, err := t.callUnlessUnsafe(ctx, record.Number, call, interrupted)
	if err != nil && ctx.Err() == nil {
		t.logger.WarnContext(ctx, "tool call failed", "tool", call.Name, "error", err)
		result, err = toolFailure("The tool failed: %s", journal.Error(err).Message), nil
	}
	if !journal.Finish(ctx, record, &agent.Result{ToolResult: result}, err) {
		return nil, err
	}
	if err := t.recorder.Record(record, toolResultEvent(call, result)); err != nil {
		return nil, err
	}
	t.toolbox.addWritten(record.Number, call.Name, result)
	return &agent.Result{ToolResult: result}, nil
}

// callUnlessUnsafe calls the tool. If a call of a tool that is not safe to repeat was
// interrupted, it returns a result that explains this to the model instead.
func (t *toolCaller) callUnlessUnsafe(
	ctx context.Context, number uint64, call *sdk.ToolCall, interrupted bool,
) (*sdk.ToolResult, error) {
	if interrupted {
		repeatable, err := t.repeatable(ctx, call.Name)
		if err != nil {
			return nil, err
		}
		if !repeatable {
			return toolFailure("The outcome of this call is unknown, because the server stopped during the call. " +
				"It may have taken effect. Check before you call the tool again."), nil
		}
	}
	return t.callOnce(ctx, number, call, interrupted)
}

func (t *toolCaller) callOnce(
	ctx context.Context, number uint64, call *sdk.ToolCall, repeated bool,
) (*sdk.ToolResult, error) {
	start := time.Now()
	ctx, span := startToolSpan(ctx, t.tracer, call, repeated)
	result, err := t.toolbox.Call(ctx, t.run, number, *call)
	if err == nil && result == nil {
		err = errors.New("the tool returned no result")
	}
	endToolSpan(span, result, err)
	outcome := "ok"
	switch {
	case err != nil && ctx.Err() != nil:
		outcome = "cancelled"
	case err != nil:
		outcome = "failed"
	case result.IsError:
		outcome = "error"
	}
	t.metrics.ToolCall(outcome, time.Since(start))
	return result, err
}

// repeatable reports whether an interrupted call of the tool may be repeated.
func (t *toolCaller) repeatable(ctx context.Context, name string) (bool, error) {
	tools, err := t.toolbox.Tools(ctx, t.run)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(tools, func(tool sdk.Tool) bool {
		return tool.Name == name && (tool.ReadOnly || tool.Idempotent)
	}), nil
}
