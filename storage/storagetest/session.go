package storagetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// traces identifies the rows that a finished turn stores.
type traces struct {
	agentID, userID, sessionID, key string
	run, input, answer              string
}

// leaveTraces executes a turn and returns its traces.
func (f *fixture) leaveTraces(t *testing.T, a *core.Agent, userID, session string) traces {
	t.Helper()
	s := f.start(t, a, userID, session)
	c := &core.Call{RunID: s.Run.ID, Number: 1, Kind: core.CallComplete, RequestHash: []byte{1}}
	ok(t, f.RecordCall(f.ctx, s.Run, c, []core.EventRow{event(s.Run.ID, 2, `{}`, f.now)}))
	e := f.end(s.Run)
	ok(t, f.EndRun(f.ctx, e))
	return traces{a.ID, userID, session, s.Run.SessionKey, s.Run.ID, s.Input.ID, e.Answer.ID}
}

// wantTraces fails the test unless all traces exist, or none of them if exist is false.
func (f *fixture) wantTraces(t *testing.T, tr traces, exist bool) {
	t.Helper()
	check := func(what string, err error) {
		t.Helper()
		if exist {
			ok(t, err)
		} else if core.CodeOf(err) != core.CodeNotFound {
			t.Errorf("%s: got %v, want NotFound", what, err)
		}
	}
	count := func(what string, n int, err error) {
		t.Helper()
		ok(t, err)
		if (n > 0) != exist {
			t.Errorf("%s: got %d, want some: %t", what, n, exist)
		}
	}
	_, err := f.Run(f.ctx, admin, tr.run)
	check("run", err)
	_, err = f.Message(f.ctx, tr.input)
	check("input", err)
	_, err = f.Message(f.ctx, tr.answer)
	check("answer", err)
	calls, err := f.Calls(f.ctx, tr.run)
	count("calls", len(calls), err)
	events, err := f.Events(f.ctx, tr.run, 0, 10)
	count("events", len(events), err)
	history, _, err := f.HistoryBefore(f.ctx, tr.key, tr.answer, 10)
	count("history", len(history), err)
	messages, _, err := f.Messages(f.ctx, core.MessageFilter{
		AgentID: tr.agentID, UserID: tr.userID, SessionID: tr.sessionID, Limit: 10,
	})
	count("messages", len(messages), err)
}

// sessions returns the user's sessions with an agent.
func (f *fixture) sessions(t *testing.T, a *core.Agent, userID string) []*core.Session {
	t.Helper()
	list, total, err := f.Sessions(f.ctx, core.SessionFilter{
		AgentID: a.ID, UserID: userID, Page: core.Page{Limit: 100},
	})
	ok(t, err)
	same(t, "total", total, len(list))
	return list
}

func testSessionList(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	same(t, "sessions at first", len(f.sessions(t, a, v.UserID)), 0)
	for i, name := range []string{"one", "two", "three"} {
		s := f.turn(a, v.UserID, name)
		s.Run.CreatedAt = f.at(i)
		ok(t, f.StartRun(f.ctx, nil, s))
		ok(t, f.EndRun(f.ctx, core.RunEnd{Run: &core.Run{
			ID: s.Run.ID, Owner: s.Run.Owner, Attempt: 1, Status: core.RunCancelled, EndedAt: f.at(i),
		}}))
	}
	// A new turn makes the oldest session the newest.
	s := f.turn(a, v.UserID, "one")
	s.Run.CreatedAt = f.at(10)
	ok(t, f.StartRun(f.ctx, nil, s))
	e := f.end(s.Run)
	e.Answer.CreatedAt = f.at(20)
	ok(t, f.EndRun(f.ctx, e))

	list := f.sessions(t, a, v.UserID)
	var ids []string
	for _, x := range list {
		ids = append(ids, x.ID)
	}
	same(t, "sessions", ids, []string{"one", "three", "two"})
	same(t, "session", list[0], &core.Session{
		Key: s.Run.SessionKey, ID: "one", AgentID: a.ID, UserID: v.UserID,
		Messages: 3, CreatedAt: f.at(0), UpdatedAt: f.at(20),
	})
	page, total, err := f.Sessions(f.ctx, core.SessionFilter{
		AgentID: a.ID, UserID: v.UserID, Page: core.Page{Limit: 1, Offset: 1},
	})
	ok(t, err)
	same(t, "total", total, 3)
	same(t, "page", page, list[1:2])

	// UpdatedAt does not decrease if the clock was set back.
	s = f.turn(a, v.UserID, "one")
	s.Run.CreatedAt = f.now.Add(-time.Hour)
	ok(t, f.StartRun(f.ctx, nil, s))
	same(t, "UpdatedAt", f.sessions(t, a, v.UserID)[0].UpdatedAt, f.at(20))
}

func testSessionOwn(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	a, b := f.agent(t, v, shared), f.agent(t, v, shared)
	keys := map[string]bool{}
	for _, s := range []core.RunStart{
		f.start(t, a, v.UserID, "default"), f.start(t, b, v.UserID, "default"), f.start(t, a, other.UserID, "default"),
	} {
		if s.Run.SessionKey == "" || s.Run.SessionKey != s.Input.SessionKey {
			t.Fatalf("keys %q and %q", s.Run.SessionKey, s.Input.SessionKey)
		}
		keys[s.Run.SessionKey] = true
	}
	same(t, "sessions with the same id", len(keys), 3)
	same(t, "ada's with a", len(f.sessions(t, a, v.UserID)), 1)
	same(t, "bob's with b", len(f.sessions(t, b, other.UserID)), 0)
	wantCode(t, f.DeleteSession(f.ctx, nil, b.ID, other.UserID, "default"), core.CodeNotFound)
}

func testSessionDelete(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	gone, kept := f.leaveTraces(t, a, v.UserID, "gone"), f.leaveTraces(t, a, v.UserID, "kept")
	s := f.start(t, a, v.UserID, "gone")
	wantCode(t, f.DeleteSession(f.ctx, nil, a.ID, v.UserID, "gone"), core.CodeConflict)
	f.wantTraces(t, gone, true)
	ok(t, f.EndRun(f.ctx, f.end(s.Run)))

	ok(t, f.DeleteSession(f.ctx, nil, a.ID, v.UserID, "gone"))
	f.wantTraces(t, gone, false)
	f.wantTraces(t, kept, true)
	wantCode(t, f.DeleteSession(f.ctx, nil, a.ID, v.UserID, "gone"), core.CodeNotFound)

	// The id can be used again for a new session.
	again := f.start(t, a, v.UserID, "gone")
	if again.Run.SessionKey == gone.key {
		t.Fatal("the deleted session was reused")
	}
	for _, s := range f.sessions(t, a, v.UserID) {
		same(t, "messages of "+s.ID, s.Messages, map[string]int{"gone": 1, "kept": 2}[s.ID])
	}
}

func testSessionDeleteMany(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	var runs []string
	for range 150 {
		input, _ := f.talk(t, a, v.UserID, "long")
		runs = append(runs, input.RunID)
	}
	same(t, "messages", f.sessions(t, a, v.UserID)[0].Messages, 300)
	ok(t, f.DeleteSession(f.ctx, nil, a.ID, v.UserID, "long"))
	same(t, "sessions", len(f.sessions(t, a, v.UserID)), 0)
	left, _, err := f.Messages(f.ctx, core.MessageFilter{AgentID: a.ID, UserID: v.UserID, Limit: 1000})
	ok(t, err)
	same(t, "messages", len(left), 0)
	for _, id := range runs {
		if _, err := f.Run(f.ctx, admin, id); core.CodeOf(err) != core.CodeNotFound {
			t.Fatal(fmt.Sprint("run ", id), err)
		}
	}
}

// testSessionWithoutTasks checks that lists can leave out the sessions of tasks. The prefix of their ids is
// case-sensitive.
func testSessionWithoutTasks(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	for _, id := range []string{"one", "task-1", "Task-2", "my-task-3"} {
		f.leaveTraces(t, a, v.UserID, id)
	}
	chats := []string{"Task-2", "my-task-3", "one"}
	list, total, err := f.Sessions(f.ctx, core.SessionFilter{
		AgentID: a.ID, UserID: v.UserID, WithoutTasks: true, Page: core.Page{Limit: 10},
	})
	ok(t, err)
	var sessions, messages []string
	for _, s := range list {
		sessions = append(sessions, s.ID)
	}
	found, _, err := f.Messages(f.ctx, core.MessageFilter{AgentID: a.ID, UserID: v.UserID, WithoutTasks: true, Limit: 20})
	ok(t, err)
	for _, m := range found {
		messages = append(messages, m.SessionID)
	}
	for what, ids := range map[string][]string{"sessions": sessions, "messages": messages} {
		slices.Sort(ids)
		same(t, what, slices.Compact(ids), chats)
	}
	same(t, "total", total, len(chats))
}

// testAgentKeeps checks that an agent with sessions or tasks is kept if the deletion must keep those.
func testAgentKeeps(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	keepBoth := core.AgentDeletion{KeepSessions: true, KeepTasks: true}
	ok(t, f.DeleteAgent(f.ctx, nil, v, f.agent(t, v).ID, keepBoth))

	chatted, worked := f.agent(t, v), f.agent(t, v)
	f.leaveTraces(t, chatted, v.UserID, "one")
	f.leaveTraces(t, worked, v.UserID, "task-1") // the session of a task that was deleted
	wantCode(t, f.DeleteAgent(f.ctx, nil, v, chatted.ID, core.AgentDeletion{KeepSessions: true}), core.CodeForbidden)
	ok(t, f.DeleteAgent(f.ctx, nil, v, chatted.ID, core.AgentDeletion{KeepTasks: true}))
	ok(t, f.DeleteAgent(f.ctx, nil, v, worked.ID, core.AgentDeletion{KeepSessions: true}))
}
