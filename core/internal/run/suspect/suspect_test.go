package suspect

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
)

func TestList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l List
		poison := &core.Run{ID: "run-1", AgentID: "agent-1", UserID: "user-1"}
		other := &core.Run{ID: "run-2", AgentID: "agent-2", UserID: "user-2"}
		if l.Isolate("agent/chat", poison) {
			t.Error("a run is suspected before a crash")
		}
		// Both runs were in the process that crashed.
		if l.Crashed("agent/chat", poison, false) || l.Crashed("agent/chat", other, false) {
			t.Error("a run is guilty after one crash")
		}
		if !l.Isolate("agent/chat", poison) || !l.Isolate("agent/chat", other) {
			t.Error("Isolate = false after a crash, want true")
		}
		if l.Isolate("llm/echo", poison) {
			t.Error("a crash of one plugin makes the run suspected in another")
		}
		if !l.Crashed("agent/chat", poison, true) {
			t.Error("a run that crashed its own process after an earlier crash is not guilty")
		}
		for _, run := range []*core.Run{
			{ID: "run-3", AgentID: "agent-1", UserID: "user-3"},
			{ID: "run-4", AgentID: "agent-3", UserID: "user-1"},
		} {
			if !l.Isolate("agent/chat", run) {
				t.Errorf("Isolate(%s) = false after a run of its agent or user was guilty", run.ID)
			}
		}
		if l.Isolate("agent/chat", &core.Run{ID: "run-5", AgentID: "agent-2", UserID: "user-2"}) {
			t.Error("a run of an agent and a user that are not guilty is suspected")
		}
		time.Sleep(memory)
		if l.Isolate("agent/chat", poison) {
			t.Error("a suspicion does not expire")
		}
		if l.Crashed("agent/chat", poison, true) {
			t.Error("a crash counts after its suspicion has expired")
		}
	})
}

// A run that always shares its process with others is not guilty, but a third crash alone makes it so.
func TestList_crashesInCompany(t *testing.T) {
	t.Parallel()
	var l List
	run := &core.Run{ID: "run-1", AgentID: "agent-1", UserID: "user-1"}
	for range 3 {
		if l.Crashed("agent/chat", run, false) {
			t.Error("a run is guilty of a crash in company")
		}
	}
	if !l.Crashed("agent/chat", run, true) {
		t.Error("the run is not guilty after a crash alone")
	}
}

func TestList_isBounded(t *testing.T) {
	t.Parallel()
	var l List
	for i := range 3 * maxEntries {
		l.Crashed("agent/chat", &core.Run{ID: fmt.Sprint(i)}, false)
	}
	if len(l.entries) > maxEntries {
		t.Errorf("got %d entries, want at most %d", len(l.entries), maxEntries)
	}
}
