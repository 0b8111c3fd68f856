// Package storagetest is the test suite for implementations of core's stores. It tests the promises in
// the doc comments of package core. Every supported database must pass it.
package storagetest

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// Stores is an open database that implements all stores.
type Stores interface {
	core.UserStore
	core.LoginStore
	core.APIKeyStore
	core.AuditStore
	core.AgentStore
	core.SessionStore
	core.MessageStore
	core.RunStore
	core.EventStore
	core.FileStore
	core.MCPServerStore
	core.EncryptedSecretStore
	core.TaskStore
	core.IdempotencyKeyStore
	core.TaskQueue
	TaskBacklog(ctx context.Context, now time.Time) ([]core.TaskBacklog, error)
	core.NotificationStore
	core.UsageStore
	core.RetentionStore
	core.UserDataStore
	core.PluginDependents
	core.Wakeups
	core.ServerStore
	Migrate(ctx context.Context) error
	Ping(ctx context.Context) error
	Close() error
}

// Run runs the suite. open returns a new, empty database for each test. The suite migrates and closes
// it.
func Run(t *testing.T, open func(t *testing.T) Stores) {
	for name, test := range map[string]func(*testing.T, *fixture){
		"database":                 testDatabase,
		"conflict_details":         testConflictDetails,
		"server":                   testServer,
		"user":                     testUser,
		"user/conflict":            testUserConflict,
		"user/list":                testUserList,
		"user/update":              testUserUpdate,
		"user/last_admin":          testUserLastAdmin,
		"user/end_keys":            testUserEndKeys,
		"user/erase":               testUserErase,
		"user/erase_refused":       testUserEraseRefused,
		"user/transfer":            testUserTransfer,
		"user/export":              testUserExport,
		"user/end_logins":          testUserEndLogins,
		"api_key":                  testAPIKey,
		"api_key/conflict":         testAPIKeyConflict,
		"session/without_tasks":    testSessionWithoutTasks,
		"agent/keeps":              testAgentKeeps,
		"api_key/children":         testAPIKeyChildren,
		"api_key/visibility":       testAPIKeyVisibility,
		"audit":                    testAudit,
		"audit/record":             testAuditRecord,
		"audit/undone":             testAuditUndone,
		"audit/writes":             testAuditedWrites,
		"audit/filter":             testAuditFilter,
		"audit/delete":             testAuditDelete,
		"idempotency_key":          testIdempotencyKey,
		"idempotency_key/at_once":  testIdempotencyKeyAtOnce,
		"idempotency_key/expired":  testIdempotencyKeyExpired,
		"login":                    testLogin,
		"login/rotate":             testLoginRotate,
		"login/end":                testLoginEnd,
		"login/delete":             testLoginDelete,
		"agent":                    testAgent,
		"agent/visibility":         testAgentVisibility,
		"agent/update":             testAgentUpdate,
		"agent/list":               testAgentList,
		"agent/filter":             testAgentFilter,
		"agent/many_broken":        testAgentManyBroken,
		"agent/dependencies":       testAgentDependencies,
		"agent/dependents":         testAgentDependents,
		"agent/delete":             testAgentDelete,
		"agent/delete_busy":        testAgentDeleteBusy,
		"session/list":             testSessionList,
		"session/own":              testSessionOwn,
		"session/delete":           testSessionDelete,
		"session/delete_many":      testSessionDeleteMany,
		"message":                  testMessage,
		"message/order":            testMessageOrder,
		"message/filter":           testMessageFilter,
		"message/history":          testHistoryBefore,
		"message/steps":            testMessageSteps,
		"message/large":            testLargeMessages,
		"page/bytes":               testPageBytes,
		"page/cursor":              testCursor,
		"page/cursor_files":        testCursorFiles,
		"page/cursor_usage":        testCursorUsage,
		"page/event_bytes":         testEventPageBytes,
		"run":                      testRun,
		"run/visibility":           testRunVisibility,
		"run/one_turn":             testRunOneTurn,
		"run/one_of_many_turns":    testRunOneOfManyTurns,
		"run/start_undone":         testRunStartUndone,
		"run/end":                  testRunEnd,
		"run/end_failed":           testRunEndFailed,
		"run/fence":                testRunFence,
		"run/retry":                testRunRetry,
		"run/cancel":               testRunCancel,
		"run/claim":                testRunClaim,
		"run/claim_limit":          testRunClaimLimit,
		"run/claim_at_once":        testRunClaimAtOnce,
		"call":                     testCall,
		"call/tool_list":           testCallToolList,
		"usage":                    testUsage,
		"event":                    testEvent,
		"event/append":             testEventAppend,
		"event/owner_wins":         testEventOwnerWins,
		"file":                     testFile,
		"file/twice":               testFileTwice,
		"file/visibility":          testFileVisibility,
		"file/update":              testFileUpdate,
		"file/update_at_once":      testFileUpdateAtOnce,
		"file/delete":              testFileDelete,
		"file/delete_at_once":      testFileDeleteAtOnce,
		"file/list":                testFileList,
		"file/filter":              testFileFilter,
		"file/quota":               testFileQuota,
		"file/quota_at_once":       testFileQuotaAtOnce,
		"file/backend":             testFileBackend,
		"file/dependents":          testFileDependents,
		"file/move":                testFileMove,
		"file/move_at_once":        testFileMoveAtOnce,
		"file/model":               testFileModel,
		"blob":                     testBlob,
		"blob/renew":               testBlobRenew,
		"pending_blob":             testPendingBlob,
		"pending_blob/reserved":    testPendingBlobReserved,
		"pending_blob/or_file":     testPendingBlobOrFile,
		"pending_blob/at_once":     testPendingBlobAtOnce,
		"mcp_server":               testMCPServer,
		"mcp_server/slug":          testMCPServerSlug,
		"mcp_server/slug_at_once":  testMCPServerSlugAtOnce,
		"mcp_server/slug_reserved": testMCPServerReservedSlug,
		"mcp_server/slug_limit":    testMCPServerReservedSlugLimit,
		"mcp_server/visibility":    testMCPServerVisibility,
		"mcp_server/process":       testMCPServerProcess,
		"mcp_server/update":        testMCPServerUpdate,
		"mcp_server/desired_state": testMCPServerDesiredState,
		"mcp_server/list":          testMCPServerList,
		"mcp_server/dependents":    testMCPServerDependents,
		"mcp_server/in_use":        testMCPServerInUse,
		"encrypted_secret":         testEncryptedSecrets,
		"task":                     testTask,
		"task/backlog":             testBacklog,
		"task/visibility":          testTaskVisibility,
		"task/filter":              testTaskFilter,
		"task/order":               testTaskOrder,
		"task/cancel":              testTaskCancel,
		"task/defer":               testTaskDefer,
		"task/at_once":             testTaskAtOnce,
		"task/queue":               testTaskQueue,
		"task/turns":               testTaskTurns,
		"task/position":            testQueuePosition,
		"notification":             testNotification,
		"notification/deleted":     testNotificationDeleted,
		"retention/runs":           testRetentionRuns,
		"retention/sessions":       testRetentionSessions,
		"retention/tasks":          testRetentionTasks,
		"write/parallel":           testWriteParallel,
		"write/isolated":           testWriteIsolated,
		"write/cancelled":          testWriteCancelled,
		"read/cancelled":           testReadCancelled,
		"paging":                   testPaging,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newFixture(t, open(t)))
		})
	}
}

// fixture is a database with helpers that create objects in it.
type fixture struct {
	Stores
	ctx context.Context
	// now is a fixed time in UTC with microseconds.
	now time.Time
}

func newFixture(t *testing.T, s Stores) *fixture {
	t.Helper()
	f := &fixture{Stores: s, ctx: t.Context(), now: time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC)}
	t.Cleanup(func() { ok(t, s.Close()) })
	ok(t, s.Migrate(f.ctx))
	return f
}

// at returns the time that many microseconds after now.
func (f *fixture) at(micros int) time.Time {
	return f.now.Add(time.Duration(micros) * time.Microsecond)
}

// user creates a user.
func (f *fixture) user(t *testing.T, name string, role core.Role) core.Actor {
	t.Helper()
	u := &core.User{ID: core.NewID("user"), Username: name, Role: role, CreatedAt: f.now, UpdatedAt: f.now}
	ok(t, f.CreateUser(f.ctx, nil, u))
	return core.Actor{UserID: u.ID, Role: u.Role}
}

// agent creates an agent of v.
func (f *fixture) agent(t *testing.T, v core.Actor, change ...func(*core.Agent)) *core.Agent {
	t.Helper()
	a := &core.Agent{
		ID: core.NewID("agent"), Name: "helper", Type: "chat", Status: core.AgentActive,
		Config: json.RawMessage(`{"model":"echo"}`), Model: "echo", CreatedBy: v.UserID, CreatedAt: f.now, UpdatedAt: f.now,
	}
	for _, c := range change {
		c(a)
	}
	ok(t, f.CreateAgent(f.ctx, nil, a))
	return a
}

// turn returns the arguments of StartRun for a turn in a user's session with an agent.
func (f *fixture) turn(a *core.Agent, userID, session string) core.RunStart {
	run := &core.Run{
		ID: core.NewID("run"), Kind: core.RunChat, AgentID: a.ID, UserID: userID, SessionID: session,
		AgentType: a.Type, Config: a.Config, Status: core.RunRunning, Seed: 1,
		Owner: "server-1", Attempt: 1, CreatedAt: f.now,
	}
	in := &core.Message{
		ID: core.NewID("msg"), SessionID: session, AgentID: a.ID, UserID: userID, RunID: run.ID,
		Role: sdk.RoleUser, Parts: []sdk.Part{{Text: "Hello"}}, CreatedAt: f.now,
	}
	run.InputID = in.ID
	return core.RunStart{Run: run, Input: in, Events: []core.EventRow{event(run.ID, 1, `{"type":"start"}`, f.now)}}
}

// start starts a run.
func (f *fixture) start(t *testing.T, a *core.Agent, userID, session string) core.RunStart {
	t.Helper()
	s := f.turn(a, userID, session)
	ok(t, f.StartRun(f.ctx, nil, s))
	return s
}

// end returns the arguments of EndRun for a completed run with an answer.
func (f *fixture) end(run *core.Run) core.RunEnd {
	r := *run
	r.Status, r.EndedAt = core.RunCompleted, f.now.Add(time.Second)
	answer := &core.Message{
		ID: core.NewID("msg"), SessionID: r.SessionID, AgentID: r.AgentID, UserID: r.UserID, RunID: r.ID,
		Role: sdk.RoleAssistant, Parts: []sdk.Part{{Text: "Good day"}}, CreatedAt: r.EndedAt,
	}
	r.AnswerID = answer.ID
	return core.RunEnd{Run: &r, Answer: answer}
}

// talk starts and ends a run, and returns its input and answer.
func (f *fixture) talk(t *testing.T, a *core.Agent, userID, session string) (input, answer *core.Message) {
	t.Helper()
	s := f.start(t, a, userID, session)
	e := f.end(s.Run)
	ok(t, f.EndRun(f.ctx, e))
	return s.Input, e.Answer
}

// event returns a row with a single event.
func event(runID string, seq int64, data string, at time.Time) core.EventRow {
	return core.EventRow{RunID: runID, First: seq, Last: seq, Type: "start", Data: json.RawMessage(data), CreatedAt: at}
}

var admin = core.Actor{UserID: "user-admin", Role: core.RoleAdmin}

// ok fails the test if err is not nil.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantCode fails the test unless err has the code.
func wantCode(t *testing.T, err error, code core.Code) {
	t.Helper()
	if err == nil || core.CodeOf(err) != code {
		t.Fatalf("got error %v, want code %s", err, code)
	}
}

// same fails the test unless got and want are deeply equal.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %s\nwant %s", what, show(got), show(want))
	}
}

func show(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func testDatabase(t *testing.T, f *fixture) {
	ok(t, f.Ping(f.ctx))
	ok(t, f.Migrate(f.ctx)) // the schema is already current
	v := f.user(t, "ada", core.RoleMember)
	ok(t, f.Migrate(f.ctx))
	_, err := f.User(f.ctx, v.UserID)
	ok(t, err)

	ok(t, f.Close())
	ok(t, f.Close())
	wantCode(t, f.Ping(f.ctx), core.CodeUnavailable)
	_, err = f.User(f.ctx, v.UserID)
	wantCode(t, err, core.CodeUnavailable)
	wantCode(t, f.RenewLease(f.ctx, "server-1", f.now), core.CodeUnavailable)
}
