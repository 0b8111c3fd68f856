package accounts

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/agentarea/agentarea/core"
)

// userData records deletions and exports a constant.
type userData struct {
	deleted []string
	err     error
}

func (u *userData) DeleteUser(_ context.Context, audit *core.AuditRecord, _ core.Actor, userID, to string) error {
	if u.err != nil {
		return u.err
	}
	audit.Claim()
	u.deleted = append(u.deleted, userID+">"+to)
	return nil
}

func (u *userData) Export(_ context.Context, userID string, w io.Writer) error {
	_, err := io.WriteString(w, "archive of "+userID)
	return errors.Join(err, u.err)
}

func TestDeleteUser(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	for path, issue := range map[string]string{
		"":                           "objects",
		"?objects=keep":              "objects",
		"?objects=transfer":          "to",
		"?objects=erase&to=user-bob": "to",
	} {
		got := env.Do(t, "root", "DELETE", "/v1/users/user-ann"+path, "").Want(http.StatusBadRequest).Failure()
		if got.Code != core.CodeValidation || got.Details.Field != issue {
			t.Errorf("DELETE user-ann%s = %+v, want an error of %q", path, got, issue)
		}
	}
	env.Do(t, "ann", "DELETE", "/v1/users/user-ann?objects=erase", "").Want(http.StatusForbidden)
	env.Do(t, "", "DELETE", "/v1/users/user-ann?objects=erase", "").Want(http.StatusUnauthorized)
	if len(env.data.deleted) > 0 {
		t.Fatalf("refused requests deleted %q", env.data.deleted)
	}
	env.Do(t, "root", "DELETE", "/v1/users/user-ann?objects=erase", "").Want(http.StatusNoContent)
	env.Do(t, "root", "DELETE", "/v1/users/user-bob/?objects=transfer&to=user-eve", "").Want(http.StatusNoContent)
	if got := env.data.deleted; len(got) != 2 || got[0] != "user-ann>" || got[1] != "user-bob>user-eve" {
		t.Errorf("deleted %q, want user-ann erased and user-bob transferred to user-eve", got)
	}
	env.data.err = core.Conflict("The user or an agent of the user has active runs: run-1")
	env.Do(t, "root", "DELETE", "/v1/users/user-eve?objects=erase", "").Want(http.StatusConflict)
}

func TestExportUser(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	for _, who := range []string{"ann", "root"} {
		got := env.Do(t, who, "GET", "/v1/users/user-ann/export", "").Want(http.StatusOK)
		if got.Body.String() != "archive of user-ann" || got.Header().Get("Content-Type") != "application/zip" {
			t.Errorf("export for %s = %q with %v, want the archive", who, got.Body, got.Header())
		}
	}
	foreign := env.Do(t, "bob", "GET", "/v1/users/user-ann/export", "").Want(http.StatusNotFound).Failure()
	missing := env.Do(t, "bob", "GET", "/v1/users/user-none/export", "").Want(http.StatusNotFound).Failure()
	if foreign.Code != missing.Code {
		t.Errorf("export of another user = %+v, and of none = %+v, want the same error", foreign, missing)
	}
	env.Do(t, "root", "GET", "/v1/users/user-none/export", "").Want(http.StatusNotFound)
	env.Do(t, "", "GET", "/v1/users/user-ann/export", "").Want(http.StatusUnauthorized)
}

// TestExportUser_fails checks that a failed export cuts the connection, so that a part does not look complete.
func TestExportUser_fails(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.data.err = errors.New("the backend is away")
	server := env.Start(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/users/user-ann/export", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+env.Tokens["ann"])
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		return // cut before the headers
	}
	defer func() { _ = reply.Body.Close() }()
	if body, err := io.ReadAll(reply.Body); err == nil {
		t.Errorf("a failed export ended regularly after %q with status %d", body, reply.StatusCode)
	}
}
