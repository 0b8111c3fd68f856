package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

func testAudit(t *testing.T, f *fixture) {
	e := &core.AuditEntry{
		At: f.at(1), Action: "delete-agent", Target: "agent-1", Outcome: core.OutcomeRefused, Reason: core.CodeForbidden,
		UserID: "user-1", Username: "Zoë", Credential: "login-1", Address: "2001:db8::7", RequestID: "req-1", Repeated: 7,
	}
	ok(t, f.Record(f.ctx, e))
	ok(t, f.Record(f.ctx, &core.AuditEntry{At: f.at(2), Action: "login", Outcome: core.OutcomeDone}))
	got, total, err := f.Audit(f.ctx, core.AuditFilter{Page: core.Page{Limit: 10}})
	ok(t, err)
	if total != 2 || len(got) != 2 || got[0].Action != "login" || got[0].Seq <= got[1].Seq {
		t.Fatalf("got total %d and entries %+v, want 2 entries, newest first", total, got)
	}
	want := *e
	want.Seq = got[1].Seq
	same(t, "Audit", got[1], &want)
}

// auditRecord returns the audit record of a request.
func auditRecord(action string) *core.AuditRecord {
	return &core.AuditRecord{AuditEntry: core.AuditEntry{Action: action, UserID: "user-1", RequestID: "req-1"}}
}

// testAuditRecord checks that only the first change with an audit record stores its entry.
func testAuditRecord(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	var all sync.WaitGroup
	for i := range 20 { // concurrently, so that they share commits
		all.Go(func() {
			audit := auditRecord("create-agent")
			id := fmt.Sprintf("agent-%d", i)
			audit.SetTarget(id)
			if err := f.CreateAgent(f.ctx, audit, &core.Agent{ID: id, Config: []byte("{}"), CreatedBy: v.UserID}); err != nil {
				t.Error(err)
			}
			if audit.Claim() {
				t.Error("the audit record is not claimed")
			}
			if err := f.DeleteAgent(f.ctx, audit, v, id, core.AgentDeletion{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got, total, err := f.Audit(f.ctx, core.AuditFilter{Action: "create-agent", Page: core.Page{Limit: 100}})
	ok(t, err)
	targets := map[string]bool{}
	for _, e := range got {
		targets[e.Target] = true
		if e.Outcome != core.OutcomeDone || e.UserID != "user-1" || e.RequestID != "req-1" ||
			time.Since(e.At).Abs() > time.Hour {
			t.Errorf("unexpected entry %+v", e)
		}
	}
	if total != 20 || len(targets) != 20 {
		t.Errorf("got %d entries for %d agents, want 20 for 20", total, len(targets))
	}
}

// testAuditUndone checks that a failed change stores no audit entry, and that the next change of the
// same request does.
func testAuditUndone(t *testing.T, f *fixture) {
	f.user(t, "ada", core.RoleMember)
	audit := auditRecord("create-user")
	err := f.CreateUser(f.ctx, audit, &core.User{ID: "user-2", Username: "Ada"})
	wantCode(t, err, core.CodeConflict)
	_, total, err := f.Audit(f.ctx, core.AuditFilter{Page: core.Page{Limit: 10}})
	ok(t, err)
	if total != 0 {
		t.Errorf("got %d entries, want 0", total)
	}
	ok(t, f.CreateUser(f.ctx, audit, &core.User{ID: "user-2", Username: "Bob"}))
	_, total, err = f.Audit(f.ctx, core.AuditFilter{Page: core.Page{Limit: 10}})
	ok(t, err)
	if total != 1 {
		t.Errorf("got %d entries, want 1", total)
	}
}

// testAuditedWrites checks that each method with an audit record stores the entry and the idempotency key, that it
// changes nothing if the key was used before, and that with a nil record it stores no entry.
func testAuditedWrites(t *testing.T, f *fixture) {
	f.user(t, "root", core.RoleAdmin)
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	for name, write := range map[string]func(audit *core.AuditRecord) error{
		"CreateUser": func(audit *core.AuditRecord) error {
			id := core.NewID("user")
			return f.CreateUser(f.ctx, audit, &core.User{ID: id, Username: id})
		},
		"UpdateUser": func(audit *core.AuditRecord) error {
			_, err := f.UpdateUser(f.ctx, audit, v.UserID, core.UserUpdate{At: f.at(1)})
			return err
		},
		"FinishUserDeletion": func(audit *core.AuditRecord) error {
			gone := f.user(t, core.NewID("gone"), core.RoleMember)
			return f.FinishUserDeletion(f.ctx, audit, core.UserDeletion{UserID: gone.UserID, At: f.at(1)})
		},
		"CreateLogin": func(audit *core.AuditRecord) error {
			return f.CreateLogin(f.ctx, audit, &core.Login{ID: core.NewID("login"), UserID: v.UserID, RefreshHash: []byte{1}})
		},
		"RotateLogin": func(audit *core.AuditRecord) error {
			l := f.login(t, v)
			l.Generation++
			return f.RotateLogin(f.ctx, audit, l)
		},
		"EndLogin": func(audit *core.AuditRecord) error {
			return f.EndLogin(f.ctx, audit, f.login(t, v).ID, f.at(1))
		},
		"CreateAPIKey": func(audit *core.AuditRecord) error {
			id := core.NewID("key")
			return f.CreateAPIKey(f.ctx, audit, &core.APIKey{ID: id, UserID: v.UserID, Name: id, Hash: []byte{1}})
		},
		"DeleteAPIKey": func(audit *core.AuditRecord) error {
			return f.DeleteAPIKey(f.ctx, audit, v, f.apiKey(t, v, core.NewID("key")).ID)
		},
		"CreateAgent": func(audit *core.AuditRecord) error {
			return f.CreateAgent(f.ctx, audit, &core.Agent{ID: core.NewID("agent"), Config: []byte("{}"), CreatedBy: v.UserID})
		},
		"UpdateAgent": func(audit *core.AuditRecord) error {
			return f.UpdateAgent(f.ctx, audit, v, f.agent(t, v))
		},
		"DeleteAgent": func(audit *core.AuditRecord) error {
			return f.DeleteAgent(f.ctx, audit, v, f.agent(t, v).ID, core.AgentDeletion{})
		},
		"DeleteSession": func(audit *core.AuditRecord) error {
			f.talk(t, a, v.UserID, "old")
			return f.DeleteSession(f.ctx, audit, a.ID, v.UserID, "old")
		},
		"CreateMCPServer": func(audit *core.AuditRecord) error {
			return f.CreateMCPServer(f.ctx, audit, v, f.unstoredServer(v), false)
		},
		"UpdateMCPServer": func(audit *core.AuditRecord) error {
			return f.UpdateMCPServer(f.ctx, audit, v, f.server(t, v), false)
		},
		"DeleteMCPServer": func(audit *core.AuditRecord) error {
			return f.DeleteMCPServer(f.ctx, audit, v, f.server(t, v).ID, core.MCPServerDeletion{})
		},
		"SetDesiredState": func(audit *core.AuditRecord) error {
			return f.SetDesiredState(f.ctx, audit, v, f.server(t, v).ID, core.MCPDesiredRunning)
		},
		"CreateFile": func(audit *core.AuditRecord) error {
			file := f.unstored(v)
			f.reserve(t, file.Blob)
			return f.CreateFile(f.ctx, audit, file, 0)
		},
		"UpdateFile": func(audit *core.AuditRecord) error {
			return f.UpdateFile(f.ctx, audit, v, f.file(t, v))
		},
		"DeleteFile": func(audit *core.AuditRecord) error {
			_, err := f.DeleteFile(f.ctx, audit, v, f.file(t, v).ID, 0, f.at(1))
			return err
		},
		"MoveFile": func(audit *core.AuditRecord) error {
			file := f.file(t, v)
			return f.MoveFile(f.ctx, audit, file.ID, file.Blob, f.reserve(t, newBlob("s3")), f.at(1))
		},
		"StartRun": func(audit *core.AuditRecord) error {
			return f.StartRun(f.ctx, audit, f.turn(a, v.UserID, core.NewID("session")))
		},
		"RequestCancel": func(audit *core.AuditRecord) error {
			_, err := f.RequestCancel(f.ctx, audit, v, f.start(t, a, v.UserID, core.NewID("session")).Run.ID)
			return err
		},
		"CreateTask": func(audit *core.AuditRecord) error {
			return f.CreateTask(f.ctx, audit, f.unstoredTask(a, v.UserID))
		},
		"CancelTask": func(audit *core.AuditRecord) error {
			_, err := f.CancelTask(f.ctx, audit, v, f.task(t, a, v.UserID).ID, f.at(1))
			return err
		},
	} {
		ok(t, write(nil))
		ok(t, write(keyedRecord(name, v.UserID, name)))
		var repeated *core.RepeatedRequest
		if err := write(keyedRecord(name, v.UserID, name)); !errors.As(err, &repeated) {
			t.Errorf("%s with a used key = %v, want RepeatedRequest", name, err)
		}
		_, total, err := f.Audit(f.ctx, core.AuditFilter{Action: name, Outcome: core.OutcomeDone, Page: core.Page{Limit: 1}})
		ok(t, err)
		if total != 1 {
			t.Errorf("%s stored %d entries, want 1", name, total)
		}
	}
	_, total, err := f.Audit(f.ctx, core.AuditFilter{Page: core.Page{Limit: 1}})
	ok(t, err)
	if want := 24; total != want {
		t.Errorf("got %d entries, want %d: a change with a nil record is not audited", total, want)
	}
}

func testAuditFilter(t *testing.T, f *fixture) {
	for i := range 10 {
		e := &core.AuditEntry{
			At: f.at(i), Action: "act-" + string(rune('a'+i%2)),
			Target: fmt.Sprint("agent-", i%3), UserID: fmt.Sprint("user-", i%5),
			RequestID: fmt.Sprint("req-", i), Outcome: core.OutcomeDone,
		}
		if i >= 8 {
			e.Outcome = core.OutcomeRefused
		}
		ok(t, f.Record(f.ctx, e))
	}
	for name, c := range map[string]struct {
		f    core.AuditFilter
		want string
	}{
		"all":       {core.AuditFilter{}, "9876543210"},
		"user":      {core.AuditFilter{UserID: "user-2"}, "72"},
		"action":    {core.AuditFilter{Action: "act-b"}, "97531"},
		"target":    {core.AuditFilter{Target: "agent-0"}, "9630"},
		"outcome":   {core.AuditFilter{Outcome: core.OutcomeRefused}, "98"},
		"request":   {core.AuditFilter{RequestID: "req-4"}, "4"},
		"time":      {core.AuditFilter{From: f.at(3), To: f.at(6)}, "543"},
		"two":       {core.AuditFilter{Action: "act-a", Target: "agent-0"}, "60"},
		"none":      {core.AuditFilter{Action: "act"}, ""},
		"next page": {core.AuditFilter{Page: core.Page{Offset: 8}}, "10"},
	} {
		c.f.Limit = 100
		got, _, err := f.Audit(f.ctx, c.f)
		ok(t, err)
		ids := ""
		for _, e := range got {
			ids += e.RequestID[len("req-"):]
		}
		if ids != c.want {
			t.Errorf("%s: got entries %q, want %q", name, ids, c.want)
		}
	}
}

func testAuditDelete(t *testing.T, f *fixture) {
	for i := range 10 {
		ok(t, f.Record(f.ctx, &core.AuditEntry{At: f.at(i), Action: "login", Outcome: core.OutcomeDone}))
	}
	for _, want := range []int{4, 3, 0} {
		n, err := f.DeleteAudit(f.ctx, f.at(7), 4)
		ok(t, err)
		if n != want {
			t.Errorf("deleted %d, want %d", n, want)
		}
	}
	_, total, err := f.Audit(f.ctx, core.AuditFilter{Page: core.Page{Limit: 1}})
	ok(t, err)
	if total != 3 {
		t.Errorf("got %d remaining entries, want 3", total)
	}
}
