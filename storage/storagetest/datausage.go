package storagetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// OpenCounted returns an empty database whose users may store limit bytes each, and a function that reads all rows
// of a user and adds up their sizes.
type OpenCounted func(t *testing.T, limit int64) (db Stores, count func(t *testing.T, userID string) int64)

// RunDataUsage tests the usage and the limit of the bytes that each user stores.
func RunDataUsage(t *testing.T, open OpenCounted) {
	for name, test := range map[string]func(*testing.T, *usageFixture){
		"turns":     testDataOfTurns,
		"tasks":     testDataOfTasks,
		"edits":     testDataOfEdits,
		"crash":     testDataAfterCrash,
		"retention": testDataRetention,
		"deletes":   testDataDeletes,
		"erase":     testDataErase,
		"transfer":  testDataTransfer,
		"seen_by":   testStorageUsageSeenBy,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, count := open(t, 0)
			test(t, &usageFixture{newFixture(t, db), count})
		})
	}
	t.Run("quota", func(t *testing.T) {
		t.Parallel()
		db, count := open(t, quotaOfTest)
		testDataQuota(t, &usageFixture{newFixture(t, db), count})
	})
	t.Run("quota_at_once", func(t *testing.T) {
		t.Parallel()
		db, count := open(t, quotaOfTest)
		testDataQuotaAtOnce(t, &usageFixture{newFixture(t, db), count})
	})
}

// quotaOfTest is the limit in bytes of the tests of the quota.
const quotaOfTest = 100_000

// usageFixture is a fixture that can count the stored bytes independently.
type usageFixture struct {
	*fixture
	count func(t *testing.T, userID string) int64
}

// check fails the test unless the usage of v equals the size of the rows. It returns the usage.
func (f *usageFixture) check(t *testing.T, after string, v core.Actor) int64 {
	t.Helper()
	got, err := f.StorageUsage(f.ctx, v, v.UserID)
	ok(t, err)
	if want := f.count(t, v.UserID); got.Database != want {
		t.Fatalf("after %s: StorageUsage = %d bytes, want %d", after, got.Database, want)
	}
	return got.Database
}

// checkChange is check, and fails the test unless the usage has changed from before in the given direction.
func (f *usageFixture) checkChange(t *testing.T, after string, v core.Actor, before int64, grows bool) int64 {
	t.Helper()
	now := f.check(t, after, v)
	if grows && now <= before || !grows && now >= before {
		t.Fatalf("after %s: StorageUsage = %d bytes, and %d before, want growth: %t", after, now, before, grows)
	}
	return now
}

// textCall returns a call with texts.
func textCall(run *core.Run, number uint64) *core.Call {
	return &core.Call{
		RunID: run.ID, Number: number, Kind: core.CallTool, RequestHash: []byte{byte(number)}, Done: true,
		Request: json.RawMessage(`{"tool":"añadir"}`),
		Result:  json.RawMessage(`{"text":"` + strings.Repeat("ü", 500) + `"}`),
	}
}

// longTurn stores a turn with events and calls between its start and its end.
func (f *usageFixture) longTurn(t *testing.T, a *core.Agent, userID, session string) {
	t.Helper()
	s := f.start(t, a, userID, session)
	call := textCall(s.Run, 1)
	call.Done, call.Result = false, nil
	ok(t, f.RecordCall(f.ctx, s.Run, call, []core.EventRow{event(s.Run.ID, 2, `{"type":"tool_call"}`, f.now)}))
	ok(t, f.RecordCall(f.ctx, s.Run, textCall(s.Run, 1), nil))
	ok(t, f.AppendEvents(f.ctx, []core.EventRow{event(s.Run.ID, 3, `["Hello","`+strings.Repeat("x", 900)+`"]`, f.now)}))
	e := f.end(s.Run)
	e.Answer.Steps = []sdk.Message{sdk.Text(sdk.RoleAssistant, strings.Repeat("step ", 50))}
	e.Call = textCall(s.Run, 2)
	e.Events = []core.EventRow{event(s.Run.ID, 4, `["end"]`, f.now), event(s.Run.ID, 5, `{"type":"end"}`, f.now)}
	ok(t, f.EndRun(f.ctx, e))
}

func testDataOfTurns(t *testing.T, f *usageFixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	same(t, "usage at first", f.check(t, "nothing", v), int64(0))
	a := f.agent(t, v, shared)
	used := f.checkChange(t, "an agent", v, 0, true)

	// A short turn stores everything at its start and its end.
	s := f.turn(a, v.UserID, "s")
	s.Input.Parts = []sdk.Part{{Text: "Grüße"}, {Text: "two"}}
	s.Input.Metadata = json.RawMessage(`{"n":1}`)
	ok(t, f.StartRun(f.ctx, nil, s))
	used = f.checkChange(t, "the start of a turn", v, used, true)
	e := f.end(s.Run)
	e.Complete, e.Call = true, textCall(s.Run, 1)
	e.Events = []core.EventRow{event(s.Run.ID, 2, `["Good day"]`, f.now), event(s.Run.ID, 3, `{"type":"end"}`, f.now)}
	ok(t, f.EndRun(f.ctx, e))
	used = f.checkChange(t, "the end of a turn", v, used, true)

	f.longTurn(t, a, v.UserID, "s")
	used = f.checkChange(t, "a long turn", v, used, true)

	// The calls and events of a turn in progress count at once.
	s = f.start(t, a, v.UserID, "s")
	used = f.checkChange(t, "the start of the third turn", v, used, true)
	ok(t, f.RecordCall(f.ctx, s.Run, textCall(s.Run, 1), []core.EventRow{event(s.Run.ID, 2, `{"n":1}`, f.now)}))
	used = f.checkChange(t, "a call", v, used, true)
	ok(t, f.AppendEvents(f.ctx, []core.EventRow{event(s.Run.ID, 3, `["Hello"]`, f.now)}))
	used = f.checkChange(t, "events", v, used, true)
	list := &core.Call{RunID: s.Run.ID, Number: 2, Kind: core.CallListTools, RequestHash: []byte{1}}
	ok(t, f.RecordCall(f.ctx, s.Run, list, nil))
	list.Done, list.Result = true, json.RawMessage(`{"tools":[{"name":"`+strings.Repeat("long", 1000)+`"}]}`)
	for range 2 { // recording it again changes nothing
		ok(t, f.RecordCall(f.ctx, s.Run, list, nil))
	}
	used = f.checkChange(t, "a list of tools", v, used+4000, true)
	failed := f.end(s.Run)
	failed.Answer, failed.Run.AnswerID, failed.Run.Status = nil, "", core.RunFailed
	failed.Run.Error = &sdk.Error{Code: sdk.CodeTimeout, Message: strings.Repeat("too slow ", 50)}
	ok(t, f.EndRun(f.ctx, failed))
	used = f.checkChange(t, "the failure of a turn", v, used, true)

	// A turn with a shared agent counts for the user who has it. The list of tools is stored already.
	before := f.check(t, "another user's turns", other)
	s = f.start(t, a, other.UserID, "s")
	ok(t, f.RecordCall(f.ctx, s.Run, list, nil))
	ok(t, f.EndRun(f.ctx, f.end(s.Run)))
	if got := f.checkChange(t, "a turn with the list", other, before, true); got > 4000 {
		t.Errorf("a list of tools that another run has stored counts: %d bytes", got)
	}
	same(t, "usage of the agent's owner", f.check(t, "another user's turn", v), used)
}

func testDataOfTasks(t *testing.T, f *usageFixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	used := f.check(t, "an agent", v)
	away := &sdk.Error{Code: sdk.CodeUnavailable, Message: "away", Retryable: true}

	task := f.task(t, a, v.UserID, func(task *core.Task) { task.Description = strings.Repeat("work ", 100) })
	used = f.checkChange(t, "a task", v, used, true)
	run := f.begin(t, a, task)
	used = f.checkChange(t, "its start", v, used, true)
	failed := textCall(run, 2)
	failed.Result, failed.Error = nil, away
	ok(t, f.RecordCall(f.ctx, run, textCall(run, 1), nil))
	ok(t, f.RecordCall(f.ctx, run, failed, nil))
	used = f.checkChange(t, "two calls", v, used, true)
	ok(t, f.DeferTask(f.ctx, run, f.at(10), away)) // deletes the failed call
	f.check(t, "a failed attempt", v)
	again, err := f.ResumeTask(f.ctx, f.taskNow(t, task.ID), "server-2", f.at(11))
	ok(t, err)
	ok(t, f.RetryRun(f.ctx, again, []core.EventRow{event(run.ID, 2, `{"type":"restart"}`, f.now)}))
	e := f.end(again)
	e.Task = &core.TaskEnd{ID: task.ID, Status: core.TaskCompleted, Result: json.RawMessage(`{"message":"done"}`)}
	ok(t, f.EndRun(f.ctx, e))
	used = f.checkChange(t, "the end of the task", v, used, true)

	cancelled := f.task(t, a, v.UserID)
	run = f.begin(t, a, cancelled)
	ok(t, f.RecordCall(f.ctx, run, textCall(run, 1), nil))
	ok(t, f.DeferTask(f.ctx, run, f.now.Add(time.Hour), away))
	_, err = f.CancelTask(f.ctx, nil, v, cancelled.ID, f.at(5))
	ok(t, err)
	used = f.checkChange(t, "the end of a run that no server executes", v, used, true)
	n := f.deleteAll(t, f.DeleteTasks, f.now.Add(time.Hour))
	same(t, "deleted tasks", n, 2)
	f.checkChange(t, "the deletion of the tasks", v, used, false)
}

func testDataOfEdits(t *testing.T, f *usageFixture) {
	v := f.user(t, "ada", core.RoleMember)
	a, file := f.agent(t, v), f.file(t, v)
	server := f.server(t, v, func(s *core.MCPServer) { s.Secrets = []byte("encrypted") })
	used := f.check(t, "an agent, a file and an MCP server", v)
	for _, size := range []int{5000, 10} {
		text := json.RawMessage(`{"text":"` + strings.Repeat("ß", size) + `"}`)
		grows := size > 100
		a.Config = text
		ok(t, f.UpdateAgent(f.ctx, nil, v, a))
		used = f.checkChange(t, "an update of the agent", v, used, grows)
		server.Config, server.Secrets = text, []byte(text)
		ok(t, f.UpdateMCPServer(f.ctx, nil, v, server, false))
		used = f.checkChange(t, "an update of the MCP server", v, used, grows)
		file.Metadata, file.Name = text, "ÀÉ.txt"
		ok(t, f.UpdateFile(f.ctx, nil, v, file))
		used = f.checkChange(t, "an update of the file", v, used, grows)
	}
	_, err := f.DeleteFile(f.ctx, nil, v, file.ID, 0, f.now)
	ok(t, err)
	ok(t, f.DeleteMCPServer(f.ctx, nil, v, server.ID, core.MCPServerDeletion{}))
	ok(t, f.DeleteAgent(f.ctx, nil, v, a.ID, core.AgentDeletion{}))
	same(t, "usage after all deletions", f.check(t, "all deletions", v), int64(0))
}

// testDataAfterCrash checks the usage of a run that another server continues.
func testDataAfterCrash(t *testing.T, f *usageFixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	s := f.start(t, a, v.UserID, "s")
	ok(t, f.RecordCall(f.ctx, s.Run, textCall(s.Run, 1), []core.EventRow{event(s.Run.ID, 2, `{"n":1}`, f.now)}))
	ok(t, f.AppendEvents(f.ctx, []core.EventRow{event(s.Run.ID, 3, `["lost"]`, f.now)}))
	f.check(t, "the crash", v)
	claimed, err := f.ClaimRuns(f.ctx, "server-2", f.now, 10)
	ok(t, err)
	same(t, "claimed runs", len(claimed), 1)
	run := claimed[0]
	ok(t, f.RetryRun(f.ctx, run, []core.EventRow{event(run.ID, 1<<20, `{"type":"restart"}`, f.now)}))
	f.check(t, "the restart", v)
	e := f.end(run)
	e.Call = textCall(run, 2)
	// The paused first server stores an event late, which the owner replaces.
	ok(t, f.AppendEvents(f.ctx, []core.EventRow{event(run.ID, 1<<20+1, `["late","late"]`, f.now)}))
	e.Events = []core.EventRow{event(run.ID, 1<<20+1, `{"type":"end"}`, f.now)}
	ok(t, f.EndRun(f.ctx, e))
	f.check(t, "the end", v)
	wantCode(t, f.EndRun(f.ctx, f.end(s.Run)), core.CodeConflict)
	f.check(t, "the refused end of the first server", v)
}

func testDataRetention(t *testing.T, f *usageFixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	agentOnly := f.check(t, "an agent", v)
	for i := range 3 {
		f.longTurn(t, a, v.UserID, fmt.Sprint("s", i%2))
	}
	f.start(t, a, v.UserID, "active")
	long := f.now.Add(time.Hour)
	used := f.check(t, "turns", v)
	for from := (time.Time{}); ; {
		n, next, err := f.DeleteEvents(f.ctx, from, long, 2)
		ok(t, err)
		if n == 0 {
			break
		}
		from = next
		f.check(t, "the deletion of some events", v)
	}
	used = f.checkChange(t, "the deletion of events", v, used, false)
	f.deleteAll(t, f.DeleteNotifications, time.Now().Add(time.Hour))
	used = f.checkChange(t, "the deletion of notifications", v, used, false)
	same(t, "deleted runs", f.deleteAll(t, f.DeleteRuns, long), 3)
	used = f.checkChange(t, "the deletion of runs", v, used, false)
	same(t, "deleted sessions", f.deleteAll(t, f.DeleteSessions, long), 2)
	used = f.checkChange(t, "the deletion of sessions", v, used, false)
	if used <= agentOnly {
		t.Errorf("the active turn does not count: %d bytes, and %d before it", used, agentOnly)
	}
}

func testDataDeletes(t *testing.T, f *usageFixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	a := f.agent(t, v, shared)
	f.longTurn(t, a, v.UserID, "one")
	f.longTurn(t, a, v.UserID, "two")
	f.longTurn(t, a, other.UserID, "one")
	used := f.check(t, "turns", v)
	ok(t, f.DeleteSession(f.ctx, nil, a.ID, v.UserID, "one"))
	f.checkChange(t, "the deletion of a session", v, used, false)
	// Notifications to the agent's users stay until their sessions are deleted.
	ok(t, f.DeleteAgent(f.ctx, nil, v, a.ID, core.AgentDeletion{}))
	same(t, "usage of the owner", f.check(t, "the deletion of the agent", v), int64(0))
	same(t, "usage of the agent's other user", f.check(t, "the deletion of the agent", other), int64(0))
}

func testDataErase(t *testing.T, f *usageFixture) {
	f.user(t, "root", core.RoleAdmin)
	guest := f.user(t, "guest", core.RoleMember)
	gone, kept := f.userWith(t, "gone", guest), f.userWith(t, "kept", guest)
	f.check(t, "the start", gone.user)
	before, ofGuest := f.check(t, "the start", kept.user), f.check(t, "the start", guest)
	f.deleteUser(t, core.UserDeletion{UserID: gone.user.UserID, At: f.at(9)})
	same(t, "rows of the deleted user", f.count(t, gone.user.UserID), int64(0))
	same(t, "usage of the other user", f.check(t, "the deletion of a user", kept.user), before)
	f.checkChange(t, "the deletion of the owner of an agent", guest, ofGuest, false)
}

func testDataTransfer(t *testing.T, f *usageFixture) {
	f.user(t, "root", core.RoleAdmin)
	guest := f.user(t, "guest", core.RoleMember)
	gone := f.userWith(t, "gone", guest)
	heir := f.user(t, "heir", core.RoleMember)
	f.longTurn(t, gone.agent, heir.UserID, "s") // a session with the same id
	before := f.check(t, "the start", heir)
	f.deleteUser(t, core.UserDeletion{UserID: gone.user.UserID, TransferTo: heir.UserID, At: f.at(9)})
	f.checkChange(t, "the transfer", heir, before, true)
	f.check(t, "the transfer", guest)
}

func testStorageUsageSeenBy(t *testing.T, f *usageFixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	root := f.user(t, "root", core.RoleAdmin)
	f.agent(t, v)
	f.file(t, v)
	want, err := f.StorageUsage(f.ctx, v, v.UserID)
	ok(t, err)
	same(t, "bytes of files", want.Files, int64(10))
	got, err := f.StorageUsage(f.ctx, root, v.UserID)
	ok(t, err)
	same(t, "usage that an admin sees", got, want)
	_, err = f.StorageUsage(f.ctx, other, v.UserID)
	wantCode(t, err, core.CodeForbidden)
	_, missing := f.StorageUsage(f.ctx, other, "user-none")
	same(t, "error for a user who does not exist", missing.Error(), err.Error())
	_, err = f.StorageUsage(f.ctx, root, "user-none")
	wantCode(t, err, core.CodeNotFound)
}

// testDataQuota checks what a user who has reached the limit can do.
func testDataQuota(t *testing.T, f *usageFixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "root", core.RoleAdmin)
	a := f.agent(t, v, shared)
	big := f.agent(t, v, func(a *core.Agent) { a.Config = object("c", 40_000) })
	server, file := f.server(t, v), f.file(t, v)
	task := f.task(t, a, v.UserID)
	active := f.start(t, a, v.UserID, "active")
	full := f.turn(a, v.UserID, "full")
	full.Input.Parts[0].Text = strings.Repeat("x", 55_000)
	ok(t, f.StartRun(f.ctx, nil, full))
	ok(t, f.EndRun(f.ctx, f.end(full.Run)))
	used := f.check(t, "the start", v)
	if used > quotaOfTest || quotaOfTest-used > 5000 {
		t.Fatalf("the test has stored %d bytes, want nearly %d", used, quotaOfTest)
	}

	refused := func(what string, err error) {
		t.Helper()
		for _, text := range []string{
			fmt.Sprintf("limit of %d bytes", quotaOfTest), fmt.Sprintf("use %d bytes", used), "Delete", "--max-user-data",
		} {
			if core.CodeOf(err) != core.CodePayloadTooLarge || !strings.Contains(err.Error(), text) {
				t.Errorf("%s beyond the limit: got %v, want PayloadTooLarge with %q", what, err, text)
			}
		}
	}
	for _, session := range []string{"full", "new"} {
		s := f.turn(a, v.UserID, session)
		s.Input.Parts[0].Text = strings.Repeat("x", 6000)
		refused("a turn in session "+session, f.StartRun(f.ctx, nil, s))
	}
	refused("an agent", f.CreateAgent(f.ctx, nil, &core.Agent{
		ID: core.NewID("agent"), Name: "b", Type: "chat", Config: object("c", 6000), CreatedBy: v.UserID,
	}))
	larger := *a
	larger.Config = object("c", 6000)
	refused("a larger agent", f.UpdateAgent(f.ctx, nil, v, &larger))
	refused("an agent that an admin enlarges", f.UpdateAgent(f.ctx, nil, other, &larger))
	refused("an MCP server", f.CreateMCPServer(f.ctx, nil, v,
		f.unstoredServer(v, func(s *core.MCPServer) { s.Secrets = []byte(strings.Repeat("x", 6000)) }), false))
	largerServer := *server
	largerServer.Config = object("c", 6000)
	refused("a larger MCP server", f.UpdateMCPServer(f.ctx, nil, v, &largerServer, false))
	newFile := f.unstored(v, func(file *core.File) { file.Metadata = object("m", 6000) })
	f.reserve(t, newFile.Blob)
	refused("a file", f.CreateFile(f.ctx, nil, newFile, 0))
	largerFile := *file
	largerFile.Metadata = object("m", 6000)
	refused("a larger file", f.UpdateFile(f.ctx, nil, v, &largerFile))
	refused("a task", f.CreateTask(f.ctx, nil,
		f.unstoredTask(a, v.UserID, func(task *core.Task) { task.Data = object("d", 6000) })))
	begin := f.turn(a, v.UserID, task.ID)
	begin.Run.Kind, begin.Run.TaskID, begin.Task = core.RunTask, task.ID, task
	begin.Run.Config = object("c", 6000)
	refused("the start of a task", f.StartRun(f.ctx, nil, begin))
	same(t, "usage", f.check(t, "the refusals", v), used)

	// A run in progress continues.
	for i := range 3 {
		call := textCall(active.Run, uint64(i+1))
		call.Result = object("r", 10_000)
		ok(t, f.RecordCall(f.ctx, active.Run, call, nil))
	}
	f.task(t, f.agent(t, other), other.UserID) // other users are not affected
	ok(t, f.EndRun(f.ctx, f.end(active.Run)))
	used = f.checkChange(t, "the end of the active run", v, quotaOfTest, true)
	refused("a turn", f.StartRun(f.ctx, nil, f.turn(a, v.UserID, "new")))

	// A smaller object and deletions free space.
	small := *big
	small.Config = object("c", 10)
	ok(t, f.UpdateAgent(f.ctx, nil, v, &small))
	used = f.checkChange(t, "the update to a smaller agent", v, used, false)
	_, err := f.CancelTask(f.ctx, nil, v, task.ID, f.now)
	ok(t, err)
	ok(t, f.DeleteSession(f.ctx, nil, a.ID, v.UserID, "full"))
	f.checkChange(t, "the deletion of a session", v, used, false)
	s := f.turn(a, v.UserID, "new")
	s.Input.Parts[0].Text = strings.Repeat("x", 6000)
	ok(t, f.StartRun(f.ctx, nil, s))
	f.check(t, "the turn after the deletion", v)
}

// object returns a JSON object with a field of n bytes.
func object(field string, n int) json.RawMessage {
	return json.RawMessage(`{"` + field + `":"` + strings.Repeat("x", n) + `"}`)
}

// testDataQuotaAtOnce checks that concurrent writes never exceed the quota, and that the user can use all of it
// afterwards: a reading can count a concurrent write twice until the next reading.
func testDataQuotaAtOnce(t *testing.T, f *usageFixture) {
	v := f.user(t, "ada", core.RoleMember)
	const size = 5000
	var created atomic.Int64
	create := func() (refused bool) {
		err := f.CreateAgent(f.ctx, nil, &core.Agent{
			ID: core.NewID("agent"), Name: "a", Type: "chat", Config: object("c", size), CreatedBy: v.UserID,
		})
		switch core.CodeOf(err) {
		case "":
			created.Add(1)
			return false
		case core.CodePayloadTooLarge:
		default:
			t.Error(err)
		}
		return true
	}
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { create() })
	}
	wg.Wait()
	if used := f.check(t, "the concurrent creation of agents", v); used > quotaOfTest {
		t.Errorf("%d agents with %d bytes were created, want at most %d bytes", created.Load(), used, quotaOfTest)
	}
	for !create() {
	}
	used := f.check(t, "the creation of agents", v)
	if used > quotaOfTest || created.Load() < quotaOfTest/(size+500) {
		t.Errorf("%d agents with %d bytes were created, want at most %d bytes and nearly as many",
			created.Load(), used, quotaOfTest)
	}
}
