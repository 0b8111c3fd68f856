package usage_test

import (
	"context"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/core/internal/api/usage"
)

// StorageUsage fails with Forbidden as the database does.
func (s *store) StorageUsage(_ context.Context, actor core.Actor, userID string) (core.StorageUsage, error) {
	if userID != actor.UserID && !actor.Admin() {
		return core.StorageUsage{}, core.Forbidden("only an admin")
	}
	s.measured = userID
	return core.StorageUsage{Database: 5, Files: 7}, nil
}

func TestStorageUsage(t *testing.T) {
	t.Parallel()
	env, store := apitest.New(t), &store{}
	usage.Register(env.API, store, usage.Limits{Database: 100, Files: 0})
	for _, c := range []struct{ name, caller, query, user string }{
		{"own", "ann", "", "user-ann"},
		{"own by id", "ann", "?user_id=user-ann", "user-ann"},
		{"another user's as an admin", "root", "?user_id=user-ann", "user-ann"},
		{"an admin's own", "root", "", "user-root"},
	} {
		got := env.Do(t, c.caller, "GET", "/v1/usage/storage"+c.query, "").Want(200).Body.String()
		want := `{"database":{"used_bytes":5,"limit_bytes":100},"files":{"used_bytes":7,"limit_bytes":0}}`
		if strings.TrimSpace(got) != want || store.measured != c.user {
			t.Errorf("%s: got %s of %s, want %s of %s", c.name, got, store.measured, want, c.user)
		}
	}
	f := env.Do(t, "ann", "GET", "/v1/usage/storage?user_id=user-root", "").Want(403).Failure()
	if f.Code != core.CodeForbidden {
		t.Errorf("another user's: got %+v, want FORBIDDEN", f)
	}
	env.Do(t, "", "GET", "/v1/usage/storage", "").Want(401)
}
