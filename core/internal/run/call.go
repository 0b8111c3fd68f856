package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// Handle answers a call of the run's loop, from the record if it is there.
func (x *execution) Handle(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	if x.ended() {
		return nil, &sdk.Error{Code: sdk.CodeCancelled, Message: "the run has ended"}
	}
	record := &core.Call{
		RunID: x.run.ID, Number: call.Number, Kind: kind(call), RequestHash: requestHash(call),
		StartedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	recorded := x.find(call.Number)
	if recorded != nil && !bytes.Equal(recorded.RequestHash, record.RequestHash) {
		err := &sdk.Error{Code: sdk.CodeNondeterministic, Message: fmt.Sprintf(
			"call %d was a %s with another request before the run was cut: the agent type %q does not repeat itself, so the run can't go on",
			call.Number, recorded.Kind, x.run.AgentType)}
		x.fail(err)
		return nil, err
	}
	if recorded != nil && recorded.Done {
		if recorded.Kind == core.CallReadFile && recorded.Error == nil {
			return x.readAgain(ctx, call.ReadFile)
		}
		return replay(recorded)
	}
	result, err := x.perform(ctx, call, record, recorded != nil)
	if err != nil {
		x.log.DebugContext(ctx, "call failed", "call", call.Number, "kind", record.Kind, "error", err)
		return nil, toSDK(err)
	}
	return result, nil
}

func kind(call *agent.Call) core.CallKind {
	switch {
	case call.Complete != nil:
		return core.CallComplete
	case call.CallTool != nil:
		return core.CallTool
	case call.ReadFile != nil:
		return core.CallReadFile
	default:
		return core.CallListTools
	}
}

// perform does what a call asks for. cut says that it was under way when the
// run was cut.
func (x *execution) perform(ctx context.Context, call *agent.Call, record *core.Call, cut bool) (*agent.Result, error) {
	switch record.Kind {
	case core.CallComplete:
		return x.performComplete(ctx, call.Complete, record)
	case core.CallTool:
		return x.performTool(ctx, call.CallTool, record, cut)
	case core.CallListTools:
		return x.performListTools(ctx, record)
	case core.CallReadFile:
		return x.performReadFile(ctx, call.ReadFile, record)
	}
	return nil, fmt.Errorf("call of unknown kind %q", record.Kind)
}

func (x *execution) find(number uint64) *core.Call {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.recorded[number]
}

// replay gives what a call gave before the run was cut.
func replay(c *core.Call) (*agent.Result, error) {
	if c.Error != nil {
		return nil, c.Error
	}
	var result agent.Result
	if err := json.Unmarshal(c.Result, &result); err != nil {
		return nil, fmt.Errorf("recorded result of call %d: %w", c.Number, err)
	}
	return &result, nil
}

// settle fills in how a call went. It says whether that is to be recorded: a
// call that was cut short, with its run or its plugin, is not: it is made again.
func settle(ctx context.Context, record *core.Call, result any, err error) bool {
	if err != nil && ctx.Err() != nil {
		return false
	}
	record.Done = true
	record.EndedAt = time.Now().UTC().Truncate(time.Microsecond)
	if err != nil {
		record.Error = toSDK(err)
		return true
	}
	record.Result = marshal(result)
	return true
}

// keep stores a record, with an event if data is there, before its reply goes
// back to the loop.
func (x *execution) keep(record *core.Call, typ string, data json.RawMessage) error {
	stored := *record
	store := func(ctx context.Context, rows []core.EventRow) error {
		return x.engine.Runs.RecordCall(ctx, x.run, &stored, rows)
	}
	var err error
	if data != nil {
		err = x.publish(typ, data, store)
	} else {
		err = x.persist(func(ctx context.Context) error { return store(ctx, nil) })
	}
	if err != nil {
		if core.CodeOf(err) == core.CodeConflict || errors.Is(err, errStopping) {
			x.lose(err)
		} else {
			x.fail(err)
		}
		return errLost
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.recorded[record.Number] = &stored
	if record.Done {
		x.usage = x.usage.Add(record.Usage)
		x.partial.Reset()
	}
	return nil
}
