package storagetest

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

func testCall(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	s, other := f.start(t, a, v.UserID, "s"), f.start(t, a, v.UserID, "other")
	record := func(c *core.Call, events ...core.EventRow) {
		t.Helper()
		ok(t, f.RecordCall(f.ctx, s.Run, c, events))
	}
	last := &core.Call{
		RunID: s.Run.ID, Number: math.MaxInt64, Kind: core.CallListTools, RequestHash: []byte{9}, StartedAt: f.now,
	}
	record(last)
	tool := &core.Call{
		RunID: s.Run.ID, Number: 2, Kind: core.CallTool, RequestHash: []byte{0, 0xff, '\''},
		Request: json.RawMessage(`{"name":"add", "arguments":"{\"n\":9007199254740993}"}`), StartedAt: f.now,
	}
	begun := event(s.Run.ID, 2, `{"type":"tool_call"}`, f.now)
	record(tool, begun)
	failed := &core.Call{
		RunID: s.Run.ID, Number: 1, Kind: core.CallComplete, RequestHash: []byte{1}, Done: true,
		Error: &sdk.Error{Code: sdk.CodeUnavailable, Message: "down"}, Model: "echo",
		Usage:     sdk.Usage{InputTokens: 1, OutputTokens: 2, CachedInputTokens: 3, ReasoningTokens: 4},
		StartedAt: f.now, EndedAt: f.at(1),
	}
	record(failed)

	calls, err := f.Calls(f.ctx, s.Run.ID)
	ok(t, err)
	same(t, "Calls", calls, []*core.Call{failed, tool, last})

	// Recording the same call again replaces it.
	tool.Done, tool.Result, tool.EndedAt = true, json.RawMessage(`{"parts":[{"text":"9007199254740993"}]}`), f.at(5)
	done := event(s.Run.ID, 3, `{"type":"tool_result"}`, f.at(5))
	record(tool, done)
	calls, err = f.Calls(f.ctx, s.Run.ID)
	ok(t, err)
	same(t, "Calls", calls, []*core.Call{failed, tool, last})
	events, err := f.Events(f.ctx, s.Run.ID, 1, 10)
	ok(t, err)
	same(t, "Events", events, []core.EventRow{begun, done})

	calls, err = f.Calls(f.ctx, other.Run.ID)
	ok(t, err)
	same(t, "calls of another run", len(calls), 0)
}

// testCallToolList checks that a list of tools is read back by each run that stored it, and that it is deleted
// after the last of these runs.
func testCallToolList(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	tools := json.RawMessage(`{"tools":[{"name":"add"}]}`)
	long := f.now.Add(1000 * 24 * time.Hour) // the store's own clock decides how old a list is
	for _, session := range []string{"one", "two"} {
		s := f.start(t, a, v.UserID, session)
		c := &core.Call{RunID: s.Run.ID, Number: 1, Kind: core.CallListTools, RequestHash: []byte{1}, StartedAt: f.now}
		ok(t, f.RecordCall(f.ctx, s.Run, c, nil))
		c.Done, c.Result, c.EndedAt = true, tools, f.at(1)
		for range 2 { // recording it again changes nothing
			ok(t, f.RecordCall(f.ctx, s.Run, c, nil))
		}
		calls, err := f.Calls(f.ctx, s.Run.ID)
		ok(t, err)
		same(t, "Calls", calls, []*core.Call{c})
		ok(t, f.EndRun(f.ctx, f.end(s.Run)))
	}
	for _, session := range []string{"one", "two"} {
		same(t, "deleted lists in use", f.deleteAll(t, f.DeleteToolLists, long), 0)
		ok(t, f.DeleteSession(f.ctx, nil, a.ID, v.UserID, session))
	}
	same(t, "deleted new lists", f.deleteAll(t, f.DeleteToolLists, f.now), 0)
	same(t, "deleted lists", f.deleteAll(t, f.DeleteToolLists, long), 1) // stored once for both runs
}
