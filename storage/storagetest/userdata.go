package storagetest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// userObjects are the objects of a user, all with the text "secret".
type userObjects struct {
	user          core.Actor
	agent         *core.Agent
	session, work traces
	task          *core.Task
	file          *core.File
	server        *core.MCPServer
	login         *core.Login
	key           *core.APIKey
}

// userWith creates a user with one object of each kind. A guest talks to the user's agent.
func (f *fixture) userWith(t *testing.T, name string, guest core.Actor) userObjects {
	t.Helper()
	v := f.user(t, name, core.RoleMember)
	o := userObjects{
		user: v, agent: f.agent(t, v, shared), file: f.file(t, v), server: f.server(t, v), login: f.login(t, v),
	}
	o.key = f.apiKey(t, v, "key")
	o.session = f.leaveTraces(t, o.agent, v.UserID, "s")
	o.task = f.task(t, o.agent, v.UserID)
	ok(t, f.StoreKey(f.ctx, &core.IdempotencyKey{UserID: v.UserID, Key: "key", Hash: []byte{1}, Object: o.task.ID}))
	run := f.begin(t, o.agent, o.task)
	ok(t,
		f.RecordCall(f.ctx, run, &core.Call{RunID: run.ID, Number: 1, Kind: core.CallComplete, RequestHash: []byte{1}}, nil))
	e := f.end(run)
	e.Answer.Parts = []sdk.Part{{Text: "secret"}}
	e.Task = &core.TaskEnd{ID: o.task.ID, Status: core.TaskCompleted, Result: json.RawMessage(`{"message":"secret"}`)}
	ok(t, f.EndRun(f.ctx, e))
	o.work = traces{
		agentID: o.agent.ID, userID: v.UserID, sessionID: o.task.ID,
		key: e.Run.SessionKey, run: e.Run.ID, input: e.Run.InputID, answer: e.Answer.ID,
	}
	f.leaveTraces(t, o.agent, guest.UserID, "of the guest")
	n, err := core.NewSystemNotification(core.LevelWarning, "secret", v.UserID)
	ok(t, err)
	ok(t, f.AddNotification(f.ctx, n))
	return o
}

// deleteUser begins and finishes a deletion.
func (f *fixture) deleteUser(t *testing.T, d core.UserDeletion) {
	t.Helper()
	ok(t, f.BeginUserDeletion(f.ctx, d))
	u, err := f.User(f.ctx, d.UserID)
	ok(t, err)
	same(t, "disabled", u.Disabled, true)
	ok(t, f.FinishUserDeletion(f.ctx, nil, d))
	_, err = f.User(f.ctx, d.UserID)
	wantCode(t, err, core.CodeNotFound)
	wantCode(t, f.BeginUserDeletion(f.ctx, d), core.CodeNotFound)
	wantCode(t, f.FinishUserDeletion(f.ctx, nil, d), core.CodeNotFound)
}

func (f *fixture) wantNotFound(t *testing.T, what string, err error) {
	t.Helper()
	if core.CodeOf(err) != core.CodeNotFound {
		t.Errorf("%s: got error %v, want NotFound", what, err)
	}
}

// notificationsTo returns the stored notifications whose data or owner contains text.
func (f *fixture) notificationsTo(t *testing.T, text string) int {
	t.Helper()
	all, _, err := f.Notifications(f.ctx, core.NotificationFilter{}, 0, 0, 1000)
	ok(t, err)
	return len(slices.DeleteFunc(all, func(n *core.Notification) bool {
		return !strings.Contains(string(n.Data), text) && n.UserID != text
	}))
}

func testUserErase(t *testing.T, f *fixture) {
	f.user(t, "root", core.RoleAdmin)
	guest := f.user(t, "guest", core.RoleMember)
	gone, kept := f.userWith(t, "gone", guest), f.userWith(t, "kept", guest)
	servers, err := f.MCPServerIDs(f.ctx, gone.user.UserID)
	ok(t, err)
	same(t, "MCPServerIDs", servers, []string{gone.server.ID})
	for total := 0; ; {
		n, err := f.EraseUserSessions(f.ctx, gone.user.UserID, 2)
		ok(t, err)
		if total += n; n == 0 {
			same(t, "erased sessions", total, 3) // of the chat, the task and the guest
			break
		}
	}
	f.leaveTraces(t, gone.agent, gone.user.UserID, "late")
	f.deleteUser(t, core.UserDeletion{UserID: gone.user.UserID, At: f.at(9)})

	f.wantTraces(t, gone.session, false)
	f.wantTraces(t, gone.work, false)
	_, err = f.Agent(f.ctx, admin, gone.agent.ID)
	f.wantNotFound(t, "agent", err)
	_, err = f.Task(f.ctx, admin, gone.task.ID)
	f.wantNotFound(t, "task", err)
	_, err = f.File(f.ctx, admin, gone.file.ID)
	f.wantNotFound(t, "file", err)
	_, err = f.MCPServer(f.ctx, admin, gone.server.ID)
	f.wantNotFound(t, "MCP server", err)
	taken := f.unstoredServer(guest, func(s *core.MCPServer) { s.Slug = gone.server.Slug })
	wantCode(t, f.CreateMCPServer(f.ctx, nil, guest, taken, false), core.CodeConflict)
	_, err = f.Login(f.ctx, gone.login.ID)
	f.wantNotFound(t, "login", err)
	_, err = f.APIKey(f.ctx, admin, gone.key.ID)
	f.wantNotFound(t, "API key", err)
	same(t, "notifications to the deleted user", f.notificationsTo(t, gone.user.UserID), 0)
	bytes, err := f.FileUsage(f.ctx, gone.user.UserID)
	ok(t, err)
	same(t, "file usage of the deleted user", bytes, int64(0))
	blobs, err := f.ClaimPendingBlobs(f.ctx, f.at(9), f.at(100), 10)
	ok(t, err)
	same(t, "blobs to delete", ids(blobs, func(b core.PendingBlob) string { return b.Key }), []string{gone.file.Blob.Key})

	f.wantTraces(t, kept.session, true)
	f.wantTraces(t, kept.work, true)
	_, err = f.File(f.ctx, kept.user, kept.file.ID)
	ok(t, err)
	same(t, "sessions of the guest with the other agent", len(f.sessions(t, kept.agent, guest.UserID)), 1)
	if f.notificationsTo(t, kept.user.UserID) == 0 {
		t.Error("the notifications to another user were deleted")
	}
}

func testUserEraseRefused(t *testing.T, f *fixture) {
	root := f.user(t, "root", core.RoleAdmin)
	ada, bob := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	viewer := f.user(t, "eve", core.RoleViewer)
	disabled := true
	off := f.user(t, "off", core.RoleMember)
	_, err := f.UpdateUser(f.ctx, nil, off.UserID, core.UserUpdate{Disabled: &disabled, At: f.at(1)})
	ok(t, err)
	refused := func(code core.Code, text string, d core.UserDeletion) {
		t.Helper()
		for _, err := range []error{f.BeginUserDeletion(f.ctx, d), f.FinishUserDeletion(f.ctx, nil, d)} {
			if core.CodeOf(err) != code || !strings.Contains(err.Error(), text) {
				t.Errorf("deletion of %s: got %v, want %s with %q", d.UserID, err, code, text)
			}
		}
		u, err := f.User(f.ctx, d.UserID)
		if err == nil && u.Disabled {
			t.Errorf("a refused deletion disabled user %s", d.UserID)
		}
	}
	refused(core.CodeNotFound, "user-none", core.UserDeletion{UserID: "user-none"})
	refused(core.CodeConflict, "last enabled admin", core.UserDeletion{UserID: root.UserID})
	for to, text := range map[string]string{
		"user-none": "does not exist", ada.UserID: "another user", viewer.UserID: "viewer", off.UserID: "disabled",
	} {
		refused(core.CodeValidation, text, core.UserDeletion{UserID: ada.UserID, TransferTo: to})
	}
	second := f.user(t, "second", core.RoleAdmin)
	f.server(t, second)
	refused(core.CodeValidation, "Must be an admin", core.UserDeletion{UserID: second.UserID, TransferTo: bob.UserID})

	a := f.agent(t, ada, shared)
	task := f.task(t, a, bob.UserID)
	refused(core.CodeConflict, task.ID, core.UserDeletion{UserID: ada.UserID})
	_, err = f.CancelTask(f.ctx, nil, bob, task.ID, f.now)
	ok(t, err)
	s := f.start(t, a, bob.UserID, "s")
	refused(core.CodeConflict, s.Run.ID, core.UserDeletion{UserID: ada.UserID})
	refused(core.CodeConflict, s.Run.ID, core.UserDeletion{UserID: bob.UserID})
	refused(core.CodeConflict, s.Run.ID, core.UserDeletion{UserID: bob.UserID, TransferTo: ada.UserID})
	ok(t, f.EndRun(f.ctx, f.end(s.Run)))

	// The agents of a user who is being erased accept no new runs of others.
	ok(t, f.BeginUserDeletion(f.ctx, core.UserDeletion{UserID: ada.UserID, At: f.at(1)}))
	got, err := f.Agent(f.ctx, admin, a.ID)
	ok(t, err)
	same(t, "status", got.Status, core.AgentInactive)
	same(t, "shared", got.Shared, false)
	f.deleteUser(t, core.UserDeletion{UserID: ada.UserID, At: f.at(2)})
}

func testUserTransfer(t *testing.T, f *fixture) {
	f.user(t, "root", core.RoleAdmin)
	guest := f.user(t, "guest", core.RoleMember)
	gone := f.userWith(t, "gone", guest)
	heir := f.user(t, "heir", core.RoleMember)
	own := f.leaveTraces(t, gone.agent, heir.UserID, "s") // the same session id
	f.task(t, gone.agent, heir.UserID)
	ok(t, f.StoreKey(f.ctx, &core.IdempotencyKey{UserID: heir.UserID, Key: "key", Hash: []byte{1}}))
	waiting := f.task(t, gone.agent, gone.user.UserID)
	f.deleteUser(t, core.UserDeletion{UserID: gone.user.UserID, TransferTo: heir.UserID, At: f.at(9)})

	got, err := f.Agent(f.ctx, heir, gone.agent.ID)
	ok(t, err)
	same(t, "owner of the agent", got.CreatedBy, heir.UserID)
	for _, run := range []string{gone.session.run, gone.work.run} {
		r, err := f.Run(f.ctx, heir, run)
		ok(t, err)
		same(t, "user of the run", r.UserID, heir.UserID)
	}
	for _, id := range []string{gone.task.ID, waiting.ID} {
		_, err = f.Task(f.ctx, heir, id)
		ok(t, err)
	}
	file, err := f.File(f.ctx, heir, gone.file.ID)
	ok(t, err)
	used, err := f.FileUsage(f.ctx, heir.UserID)
	ok(t, err)
	same(t, "file usage", used, file.Size)
	server, err := f.MCPServer(f.ctx, heir, gone.server.ID)
	ok(t, err)
	same(t, "owner of the MCP server", server.CreatedBy, heir.UserID)
	_, err = f.APIKey(f.ctx, admin, gone.key.ID)
	f.wantNotFound(t, "API key", err)
	same(t, "notifications to the deleted user", f.notificationsTo(t, gone.user.UserID), 0)

	list := f.sessions(t, gone.agent, heir.UserID)
	same(t, "sessions", len(list), 3) // the own one, the one with the same id, and that of the task
	var moved *core.Session
	for _, s := range list {
		if s.Key == gone.session.key {
			moved = s
		}
	}
	if moved == nil || moved.ID == "s" {
		t.Fatalf("the transferred session is %+v, want one with a new id", moved)
	}
	messages, _, err := f.Messages(f.ctx,
		core.MessageFilter{AgentID: gone.agent.ID, UserID: heir.UserID, SessionID: moved.ID, Limit: 10})
	ok(t, err)
	same(t, "messages of the transferred session",
		ids(messages, func(m *core.Message) string { return m.ID + m.SessionID + m.UserID }),
		[]string{gone.session.input + moved.ID + heir.UserID, gone.session.answer + moved.ID + heir.UserID})
	f.wantTraces(t, own, true)
}

func testUserExport(t *testing.T, f *fixture) {
	f.user(t, "root", core.RoleAdmin)
	guest := f.user(t, "guest", core.RoleMember)
	mine, other := f.userWith(t, "mine", guest), f.userWith(t, "other", guest)
	for i := range 150 { // more than one page
		f.talk(t, mine.agent, mine.user.UserID, "many")
		ok(t, f.AppendEvents(f.ctx, []core.EventRow{event(mine.session.run, int64(10+i), `{"n":1}`, f.now)}))
	}
	ok(t,
		f.Record(f.ctx, &core.AuditEntry{At: f.now, Action: "login", UserID: mine.user.UserID, Outcome: core.OutcomeDone}))
	rows := map[string][]map[string]any{}
	var order []string
	var text strings.Builder
	ok(t, f.ExportUser(f.ctx, mine.user.UserID, func(kind string, row json.RawMessage) error {
		var r map[string]any
		ok(t, json.Unmarshal(row, &r))
		if rows[kind] == nil {
			order = append(order, kind)
		}
		rows[kind] = append(rows[kind], r)
		text.Write(row)
		return nil
	}))
	same(t, "kinds", order, []string{
		"user", "idempotency_keys", "logins", "api_keys", "agents", "mcp_servers", "files", "sessions", "messages", "runs", "calls", "events",
		"tasks", "notifications", "audit",
	})
	for kind, want := range map[string]int{
		"user": 1, "agents": 1, "sessions": 3, "messages": 2 + 2 + 300, "runs": 2 + 150, "calls": 2, "tasks": 1,
		"events": 2 + 1 + 150 + 150, "audit": 1,
	} {
		same(t, "exported "+kind, len(rows[kind]), want)
	}
	seen := map[any]bool{}
	for _, m := range rows["messages"] {
		seen[m["id"]] = true
	}
	same(t, "different messages", len(seen), 304)
	agent := rows["agents"][0]
	same(t, "id", agent["id"], any(mine.agent.ID))
	same(t, "shared", agent["shared"], any(true))
	same(t, "config", agent["config"], any(map[string]any{"model": "echo"}))
	same(t, "created_at", agent["created_at"], any(f.now.Format(time.RFC3339Nano)))
	same(t, "result", rows["tasks"][0]["result"], any(map[string]any{"message": "secret"}))
	for what, secret := range map[string]string{
		"another user's agent": other.agent.ID, "another user's task": other.task.ID, "password hash": "password_hash",
		"hash of a key": `"hash"`, "hash of a refresh token": "refresh_hash", "encrypted secrets": `"secrets"`,
	} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("the export contains %s: %q", what, secret)
		}
	}
}
