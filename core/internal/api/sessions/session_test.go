package sessions_test

import (
	"context"
	"slices"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/core/internal/api/sessions"
)

// store keeps sessions in memory.
type store struct{ sessions []*core.Session }

func (s *store) Sessions(_ context.Context, f core.SessionFilter) ([]*core.Session, int, error) {
	var found []*core.Session
	for _, x := range s.sessions {
		if x.AgentID == f.AgentID && x.UserID == f.UserID {
			found = append(found, x)
		}
	}
	return apitest.Page(found, f.Page), len(found), nil
}

func (s *store) DeleteSession(_ context.Context, audit *core.AuditRecord, agentID, userID, id string) error {
	for i, x := range s.sessions {
		if x.AgentID == agentID && x.UserID == userID && x.ID == id {
			s.sessions = slices.Delete(s.sessions, i, i+1)
			audit.Claim()
			return nil
		}
	}
	return core.NotFound("session", id)
}

func TestSessions(t *testing.T) {
	t.Parallel()
	s, agents := apitest.New(t), apitest.Agents{}
	agents.Add("agent-1", "ann")
	store := &store{sessions: []*core.Session{
		{ID: "s1", AgentID: "agent-1", UserID: "user-ann", Messages: 2}, {ID: "s1", AgentID: "agent-1", UserID: "user-root"},
	}}
	sessions.Register(s.API, agents, store)

	got := s.Do(t, "ann", "GET", "/v1/agents/agent-1/sessions", "").Want(200).JSON()
	if got["total"] != 1.0 || got["sessions"].([]any)[0].(map[string]any)["messages"] != 2.0 {
		t.Errorf("sessions = %v, want one with 2 messages", got)
	}
	s.Do(t, "ann", "DELETE", "/v1/agents/agent-1/sessions/s1", "").Want(204)
	s.Do(t, "ann", "DELETE", "/v1/agents/agent-1/sessions/s1", "").Want(404)
	if len(store.sessions) != 1 {
		t.Error("the session of another user was deleted")
	}
	s.Do(t, "ann", "GET", "/v1/agents/agent-1/sessions?user_id=user-bob", "").Want(403)
	s.Do(t, "bob", "GET", "/v1/agents/agent-1/sessions", "").Want(404)
	s.Do(t, "bob", "DELETE", "/v1/agents/agent-1/sessions/s1", "").Want(404)
}
