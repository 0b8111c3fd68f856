package storagetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

func testMessage(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	for name, parts := range map[string][]sdk.Part{
		"text":       {{Text: "Grüße 世界 🌍 ' \" \\ <b> \u2028 ?"}},
		"empty text": {{}},
		"like JSON":  {{Text: `[{"text":"x"}]`}},
		"none":       nil,
		"two texts":  {{Text: "one"}, {Text: "two"}},
		"blob": {
			{Text: "see"},
			{Blob: &sdk.Blob{MediaType: "image/png", Data: []byte{0, 1, 2, 0xfe, 0xff}, Name: "p.png"}},
		},
		"file alone": {{File: &sdk.File{ID: "file-1", Name: "p.png", MediaType: "image/png", Size: 5}}},
		"blob alone": {{Blob: &sdk.Blob{MediaType: "text/plain", Data: []byte("x")}}},
		"long":       {{Text: string(slices.Repeat([]byte("0123456789"), 100_000))}},
	} {
		t.Run(name, func(t *testing.T) {
			s := f.turn(a, v.UserID, core.NewID("s"))
			s.Input.Parts = parts
			s.Input.Metadata = json.RawMessage(`{"n": 9007199254740993}`)
			s.Input.CreatedAt = f.now.Add(501)
			ok(t, f.StartRun(f.ctx, nil, s))
			want := *s.Input
			want.SessionKey, want.CreatedAt = s.Run.SessionKey, f.now
			got, err := f.Message(f.ctx, s.Input.ID)
			ok(t, err)
			want.Position = got.Position
			same(t, "Message", got, &want)
			same(t, "Metadata", string(got.Metadata), string(s.Input.Metadata))
		})
	}
	_, err := f.Message(f.ctx, "msg-none")
	wantCode(t, err, core.CodeNotFound)
}

// testMessageOrder checks the order of messages in one microsecond, and after a clock was set back.
func testMessageOrder(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	for name, step := range map[string]time.Duration{"same": 0, "back": -time.Minute} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for i := range 10 {
				s := f.turn(a, v.UserID, name)
				s.Input.CreatedAt = f.now.Add(step * time.Duration(2*i))
				ok(t, f.StartRun(f.ctx, nil, s))
				e := f.end(s.Run)
				e.Answer.CreatedAt = f.now.Add(step * time.Duration(2*i+1))
				ok(t, f.EndRun(f.ctx, e))
				want = append(want, s.Input.ID, e.Answer.ID)
			}
			filter := core.MessageFilter{AgentID: a.ID, UserID: v.UserID, SessionID: name, Limit: 20}
			got, _, err := f.Messages(f.ctx, filter)
			ok(t, err)
			same(t, "Messages", messageIDs(got), want)
			got, _, err = f.HistoryBefore(f.ctx, got[0].SessionKey, want[19], 20)
			ok(t, err)
			same(t, "HistoryBefore", messageIDs(got), want[:19])
		})
	}
}

func messageIDs(list []*core.Message) []string {
	ids := []string{}
	for _, m := range list {
		ids = append(ids, m.ID)
	}
	return ids
}

func testMessageFilter(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	a, b := f.agent(t, v, shared), f.agent(t, v)
	var all, one []string
	at := func(userID string, agent *core.Agent, session string, micros int) string {
		s := f.turn(agent, userID, session)
		s.Input.CreatedAt = f.at(micros)
		ok(t, f.StartRun(f.ctx, nil, s))
		ok(t, f.EndRun(f.ctx, core.RunEnd{Run: &core.Run{
			ID: s.Run.ID, Owner: s.Run.Owner, Attempt: 1, Status: core.RunCancelled, EndedAt: f.now,
		}}))
		return s.Input.ID
	}
	for i := range 4 { // at 0, 10, 20, ... alternately in the two sessions
		id := at(v.UserID, a, "one", i*20)
		one, all = append(one, id), append(all, id)
		all = append(all, at(v.UserID, a, "two", i*20+10))
		at(other.UserID, a, "one", i*20)
		at(v.UserID, b, "one", i*20)
	}
	before := func(micros int) func(*core.MessageFilter) {
		return func(m *core.MessageFilter) { m.Before = f.at(micros) }
	}
	for name, c := range map[string]struct {
		change func(*core.MessageFilter)
		want   []string
	}{
		"all sessions":         {nil, all},
		"newest three":         {func(m *core.MessageFilter) { m.Limit = 3 }, all[5:]},
		"none":                 {func(m *core.MessageFilter) { m.Limit = 0 }, nil},
		"one session":          {func(m *core.MessageFilter) { m.SessionID = "one" }, one},
		"newest of one":        {func(m *core.MessageFilter) { m.SessionID, m.Limit = "one", 2 }, one[2:]},
		"no such session":      {func(m *core.MessageFilter) { m.SessionID = "none" }, nil},
		"no such user":         {func(m *core.MessageFilter) { m.UserID = "user-none" }, nil},
		"before, exclusive":    {before(30), all[:3]},
		"before, in between":   {before(31), all[:4]},
		"before the first":     {before(0), nil},
		"before, with a limit": {func(m *core.MessageFilter) { m.Before, m.Limit = f.at(30), 2 }, all[1:3]},
		"before, in one":       {func(m *core.MessageFilter) { m.Before, m.SessionID = f.at(40), "one" }, one[:2]},
		// Nanoseconds are truncated to the stored microsecond.
		"before, finer": {func(m *core.MessageFilter) { m.Before = f.at(30).Add(999) }, all[:3]},
	} {
		m := core.MessageFilter{AgentID: a.ID, UserID: v.UserID, Limit: 100}
		if c.change != nil {
			c.change(&m)
		}
		got, _, err := f.Messages(f.ctx, m)
		ok(t, err)
		same(t, name, messageIDs(got), append([]string{}, c.want...))
	}
}

func testMessageSteps(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	s := f.start(t, f.agent(t, v), v.UserID, "s")
	e := f.end(s.Run)
	result := sdk.Text(sdk.RoleTool, "5 \u2028 \U0001F600")
	result.ToolCallID, result.ToolError = "a", true
	e.Answer.Steps = []sdk.Message{
		{Role: sdk.RoleAssistant, ToolCalls: []sdk.ToolCall{{ID: "a", Name: "add", Arguments: `{"a": 1e400}`}}}, result,
	}
	ok(t, f.EndRun(f.ctx, e))
	got, err := f.Message(f.ctx, e.Answer.ID)
	ok(t, err)
	same(t, "steps", got.Steps, e.Answer.Steps)
}

func testHistoryBefore(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	var ids []string
	for range 5 {
		input, answer := f.talk(t, a, v.UserID, "s")
		ids = append(ids, input.ID, answer.ID)
		f.talk(t, a, v.UserID, "other")
	}
	last := f.start(t, a, v.UserID, "s")
	for _, c := range []struct {
		before string
		limit  int
		want   []string
	}{
		{last.Input.ID, 100, ids},
		{last.Input.ID, 3, ids[7:]},
		{ids[4], 2, ids[2:4]},
		{ids[0], 5, nil},
		{ids[9], 0, nil},
		{"msg-none", 5, nil},
	} {
		got, _, err := f.HistoryBefore(f.ctx, last.Run.SessionKey, c.before, c.limit)
		ok(t, err)
		same(t, fmt.Sprint(c.before, " ", c.limit), messageIDs(got), append([]string{}, c.want...))
	}
	got, _, err := f.HistoryBefore(f.ctx, last.Run.SessionKey, ids[1], 1)
	ok(t, err)
	want, err := f.Message(f.ctx, ids[0])
	ok(t, err)
	same(t, "a message of the history", got[0], want)
}
