package accounts

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// exportWriteTimeout is the maximum time for a client to read what was written of an export.
const exportWriteTimeout = time.Minute

// UserData deletes and exports users with everything that is stored about them.
type UserData interface {
	// DeleteUser gives the user's objects to the user with the id to, or erases them if to is empty, and
	// deletes the user. It fails with NotFound, Invalid or Conflict.
	DeleteUser(ctx context.Context, audit *core.AuditRecord, actor core.Actor, userID, to string) error
	// Export writes a ZIP archive with everything that is stored about the user, without secrets.
	Export(ctx context.Context, userID string, w io.Writer) error
}

type userDelete struct {
	ID      string `path:"user_id"`
	Objects string `query:"objects" required:"true" enum:"erase,transfer" doc:"What happens to the user's agents, sessions, tasks, files and MCP servers"`
	To      string `query:"to" doc:"With objects=transfer: the id of the user who gets the objects"`
}

func registerUserData(a *api.API, users Users, data UserData) {
	api.Register(a, api.Operation{
		ID: "delete-user", Method: http.MethodDelete, Path: "/v1/users/{user_id}", Tag: "Users", Access: api.Admin,
		Summary: "Delete a user",
		Description: "Deletes the user, and with objects=erase everything that the user has stored; " +
			"objects=transfer&to=user-… gives it to another user. API keys, sessions of the sign-in and notifications are " +
			"always deleted. Audit records and token counts are kept. Fails with 409 for the last admin, and while runs " +
			"of the user are active: the message names them.",
		Status: http.StatusNoContent, Errors: []core.Code{core.CodeConflict},
	}, func(ctx context.Context, in *userDelete) (*struct{}, error) {
		switch {
		case in.Objects == "transfer" && in.To == "":
			return nil, core.Invalid("to", "Must be the id of the user who gets the objects, or use objects=erase")
		case in.Objects == "erase" && in.To != "":
			return nil, core.Invalid("to",
				"Must be empty with objects=erase. To give the objects to the user, use objects=transfer")
		}
		return nil, data.DeleteUser(ctx, api.Audit(ctx), api.Actor(ctx), in.ID, in.To)
	})
	const path = "/v1/users/{user_id}/export"
	api.Register(a, api.Operation{
		ID: "export-user", Method: http.MethodGet, Path: path, Tag: "Users", Access: api.SignedIn,
		Summary: "Export everything about a user",
		Description: "Streams a ZIP archive: one JSON-lines file for each kind of object (user, agents, sessions, " +
			"messages, runs, calls, events, tasks, …), and the contents of the files. Secrets, such as password hashes and " +
			"API keys, are not in it. For the user, and for admins.",
		Large: true,
	}, func(ctx context.Context, in *userInput) (*huma.StreamResponse, error) {
		if v := api.Actor(ctx); v.UserID != in.ID && !v.Admin() {
			return nil, core.NotFound("user", in.ID)
		}
		if _, err := users.User(ctx, in.ID); err != nil {
			return nil, err
		}
		return exportResponse(a, data, in.ID), nil //nolint:contextcheck // the stream has the request's context
	})
	a.OpenAPI().Paths[path].Get.Responses["200"] = &huma.Response{
		Description: "The archive. It is complete if the response ends without a connection error.",
		Content: map[string]*huma.MediaType{"application/zip": {
			Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}, Example: "(the bytes)",
		}},
	}
}

// exportResponse streams the export. If it fails, the connection is cut, so that the client does not take a part
// for the whole.
func exportResponse(a *api.API, data UserData, userID string) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		r, w := humachi.Unwrap(hctx)
		h := w.Header()
		h.Set("Content-Type", "application/zip")
		h.Set("Content-Disposition", `attachment; filename="`+userID+`.zip"`)
		h.Set("Cache-Control", "no-store")
		if r.Method == http.MethodHead {
			return
		}
		err := data.Export(r.Context(), userID, &deadlineWriter{w, http.NewResponseController(w)})
		if err != nil {
			a.Logger().WarnContext(r.Context(), "export of a user failed", "user_id", userID, "error", err)
			panic(http.ErrAbortHandler)
		}
	}}
}

// deadlineWriter gives each write its own deadline, because an export may take longer than the server's write
// timeout.
type deadlineWriter struct {
	w       io.Writer
	control *http.ResponseController
}

func (d *deadlineWriter) Write(p []byte) (int, error) {
	_ = d.control.SetWriteDeadline(time.Now().Add(exportWriteTimeout)) // a writer without deadlines has no timeout
	return d.w.Write(p)
}
