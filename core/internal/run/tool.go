package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// noTools is the toolbox of a server without tools.
type noTools struct{}

func (noTools) Tools(context.Context, *core.Run) ([]sdk.Tool, error) { return nil, nil }

func (noTools) Call(_ context.Context, _ *core.Run, _ uint64, call sdk.ToolCall) (*sdk.ToolResult, error) {
	return toolFailure("there is no tool %q", call.Name), nil
}

// toolFailure is a result that tells the model what went wrong.
func toolFailure(format string, args ...any) *sdk.ToolResult {
	return &sdk.ToolResult{Parts: []sdk.Part{{Text: fmt.Sprintf(format, args...)}}, IsError: true}
}

func (x *execution) performListTools(ctx context.Context, record *core.Call) (*agent.Result, error) {
	tools, err := x.toolbox.Tools(ctx, x.run)
	result := &agent.Result{Tools: tools}
	if !settle(ctx, record, result, err) {
		return nil, err
	}
	if kept := x.keep(record, "", nil); kept != nil {
		return nil, kept
	}
	return result, err
}

// performTool calls a tool. That it begins is recorded first, so that a crash
// in between is known for what it is: only a tool that declares itself
// read-only or idempotent is called once more.
func (x *execution) performTool(ctx context.Context, call *sdk.ToolCall, record *core.Call, cut bool) (*agent.Result, error) {
	record.Request = marshal(call)
	if !cut {
		if err := x.keep(record, events.TypeToolCall, toolCallEvent(call)); err != nil {
			return nil, err
		}
	}
	result, err := x.callTool(ctx, record.Number, call, cut)
	if err != nil && ctx.Err() == nil {
		x.log.WarnContext(ctx, "tool failed", "tool", call.Name, "error", err)
		result, err = toolFailure("the tool failed: %s", toSDK(err).Message), nil
	}
	if !settle(ctx, record, &agent.Result{ToolResult: result}, err) {
		return nil, err
	}
	if err := x.keep(record, events.TypeToolResult, toolResultEvent(call, result)); err != nil {
		return nil, err
	}
	x.remember(record.Number, call.Name, result)
	return &agent.Result{ToolResult: result}, nil
}

func (x *execution) callTool(ctx context.Context, number uint64, call *sdk.ToolCall, cut bool) (*sdk.ToolResult, error) {
	if cut {
		repeatable, err := x.repeatable(ctx, call.Name)
		if err != nil {
			return nil, err
		}
		if !repeatable {
			return toolFailure("The outcome of this call is unknown: the server stopped while it was under way. " +
				"It may or may not have taken effect; check before you call it again."), nil
		}
	}
	return x.useTool(ctx, number, call, cut)
}

func (x *execution) useTool(ctx context.Context, number uint64, call *sdk.ToolCall, repeated bool) (*sdk.ToolResult, error) {
	begun := time.Now()
	ctx, span := x.beginTool(ctx, call, repeated)
	result, err := x.toolbox.Call(ctx, x.run, number, *call)
	if err == nil && result == nil {
		err = errors.New("the tool gave no result")
	}
	endTool(span, result, err)
	outcome := "ok"
	switch {
	case err != nil && ctx.Err() != nil:
		outcome = "cancelled"
	case err != nil:
		outcome = "failed"
	case result.IsError:
		outcome = "error"
	}
	x.engine.Metrics.ToolCall(outcome, time.Since(begun))
	return result, err
}

// repeatable says whether a tool may be called once more.
func (x *execution) repeatable(ctx context.Context, name string) (bool, error) {
	tools, err := x.toolbox.Tools(ctx, x.run)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(tools, func(t sdk.Tool) bool {
		return t.Name == name && (t.ReadOnly || t.Idempotent)
	}), nil
}
