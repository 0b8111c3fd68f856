package suspect

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
)

const plugin = "agent/chat"

func newRun(id, agentID, userID string) *core.Run {
	return &core.Run{ID: id, AgentID: agentID, UserID: userID}
}

// want checks the verdict about the next call of a run.
func want(t *testing.T, l *List, run *core.Run, verdict Verdict) {
	t.Helper()
	if got := l.Verdict(plugin, run); got != verdict {
		t.Errorf("Verdict(%s) = %d, want %d", run.ID, got, verdict)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l List
		poison, other := newRun("run-1", "agent-1", "user-1"), newRun("run-2", "agent-2", "user-2")
		want(t, &l, poison, Innocent)
		// Both runs were in the process that crashed.
		if l.Crashed(plugin, poison, false) || l.Crashed(plugin, other, false) {
			t.Error("Crashed = true after one crash, want false")
		}
		want(t, &l, poison, Suspected)
		want(t, &l, other, Suspected)
		want(t, &l, newRun("run-3", "agent-1", "user-1"), Innocent)
		if v := l.Verdict("llm/echo", poison); v != Innocent {
			t.Errorf("Verdict of another plugin = %d, want Innocent", v)
		}
		if !l.Crashed(plugin, poison, true) {
			t.Error("Crashed = false after a second crash alone, want true")
		}
		want(t, &l, newRun("run-4", "agent-1", "user-3"), Guilty)
		want(t, &l, newRun("run-5", "agent-3", "user-1"), Suspected)
		want(t, &l, newRun("run-6", "agent-2", "user-2"), Innocent)
		if !l.Crashed(plugin, newRun("run-4", "agent-1", "user-3"), true) {
			t.Error("Crashed = false for a run of a guilty agent, want true")
		}
		time.Sleep(memory)
		want(t, &l, poison, Innocent)
		want(t, &l, newRun("run-7", "agent-1", "user-1"), Innocent)
		if l.Crashed(plugin, poison, true) {
			t.Error("Crashed = true although the earlier crashes have expired")
		}
	})
}

// A run that is not repeated, because it had sent a part of its answer, is found by its agent and user.
func TestList_manyRunsOfOneAgent(t *testing.T) {
	t.Parallel()
	var l List
	for i := range suspiciousCrashes {
		want(t, &l, newRun("run-8", "agent-1", "user-9"), Innocent)
		if l.Crashed(plugin, newRun(fmt.Sprint("run-", i), "agent-1", "user-1"), false) {
			t.Error("Crashed = true for a crash in company, want false")
		}
	}
	want(t, &l, newRun("run-8", "agent-1", "user-9"), Suspected)
	want(t, &l, newRun("run-8", "agent-9", "user-1"), Suspected)
	l.Crashed(plugin, newRun("run-8", "agent-1", "user-1"), true)
	want(t, &l, newRun("run-9", "agent-1", "user-9"), Guilty)
}

// A user who creates an agent for each crash is guilty in the end.
func TestList_manyAgentsOfOneUser(t *testing.T) {
	t.Parallel()
	var l List
	for i := range guiltyUserCrashes {
		l.Crashed(plugin, newRun(fmt.Sprint("run-", i), fmt.Sprint("agent-", i), "user-1"), true)
	}
	want(t, &l, newRun("run-8", "agent-8", "user-1"), Guilty)
	want(t, &l, newRun("run-8", "agent-8", "user-2"), Innocent)
}

func TestList_isBounded(t *testing.T) {
	t.Parallel()
	var l List
	for i := range 2 * maxEntries {
		l.Crashed(plugin, newRun(fmt.Sprint("run-", i), fmt.Sprint("agent-", i), "user"), false)
	}
	if len(l.entries) > maxEntries {
		t.Errorf("got %d entries, want at most %d", len(l.entries), maxEntries)
	}
}
