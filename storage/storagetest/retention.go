package storagetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// deleteAll calls del until it deletes nothing, and returns the number of deleted rows.
func (f *fixture) deleteAll(
	t *testing.T, del func(ctx context.Context, before time.Time, limit int) (int, error), before time.Time,
) (total int) {
	t.Helper()
	for {
		n, err := del(f.ctx, before, 2)
		ok(t, err)
		if n > 2 {
			t.Errorf("deleted %d rows, want at most 2", n)
		}
		if n == 0 {
			return total
		}
		total += n
	}
}

func testRetentionRuns(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	var old []traces
	for i := range 5 {
		old = append(old, f.leaveTraces(t, a, v.UserID, fmt.Sprint("old-", i)))
	}
	active := f.start(t, a, v.UserID, "active")
	ended := f.now.Add(time.Second) // the EndedAt of fixture.end
	same(t, "deleted runs that ended later", f.deleteAll(t, f.DeleteRuns, ended), 0)

	events := func(id string) int {
		rows, err := f.Events(f.ctx, id, 0, 10)
		ok(t, err)
		return len(rows)
	}
	from, deleted := time.Time{}, 0
	for {
		n, next, err := f.DeleteEvents(f.ctx, from, ended.Add(time.Microsecond), 10)
		ok(t, err)
		if n == 0 {
			break
		}
		from, deleted = next, deleted+n
	}
	same(t, "runs whose events were deleted", deleted, 5)
	same(t, "events of an ended run", events(old[0].run), 0)
	same(t, "active run has events", events(active.Run.ID) > 0, true)
	_, err := f.Run(f.ctx, admin, old[0].run)
	ok(t, err)

	same(t, "deleted runs", f.deleteAll(t, f.DeleteRuns, ended.Add(time.Microsecond)), 5)
	_, err = f.Run(f.ctx, admin, old[0].run)
	wantCode(t, err, core.CodeNotFound)
	_, err = f.Message(f.ctx, old[0].answer)
	ok(t, err) // messages are kept
	_, err = f.Run(f.ctx, admin, active.Run.ID)
	ok(t, err)
}

func testRetentionSessions(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	old := f.leaveTraces(t, a, v.UserID, "old")
	f.start(t, a, v.UserID, "active")
	long := f.now.Add(time.Hour)
	same(t, "deleted new rows", f.deleteAll(t, f.DeleteSessions, f.now), 0)
	same(t, "deleted sessions", f.deleteAll(t, f.DeleteSessions, long), 1)
	f.wantTraces(t, old, false)
	_, total, err := f.Sessions(f.ctx, core.SessionFilter{AgentID: a.ID, UserID: v.UserID, Page: core.Page{Limit: 5}})
	ok(t, err)
	same(t, "remaining sessions", total, 1)
}

func testRetentionTasks(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	var ended []string
	for range 3 {
		task := f.task(t, a, v.UserID)
		_, err := f.CancelTask(f.ctx, nil, v, task.ID, f.now)
		ok(t, err)
		ended = append(ended, task.ID)
	}
	waits := f.task(t, a, v.UserID)
	same(t, "deleted new rows", f.deleteAll(t, f.DeleteTasks, f.now), 0)
	same(t, "deleted tasks", f.deleteAll(t, f.DeleteTasks, f.at(1)), 3)
	_, err := f.Task(f.ctx, v, ended[0])
	wantCode(t, err, core.CodeNotFound)
	f.taskNow(t, waits.ID)

	last, err := f.LastNotification(f.ctx)
	ok(t, err)
	if n := f.deleteAll(t, f.DeleteNotifications, time.Now().Add(time.Hour)); n == 0 {
		t.Error("DeleteNotifications deleted nothing")
	}
	newest, err := f.NewestNotification(f.ctx)
	ok(t, err)
	same(t, "newest after all were deleted", newest, last)
	f.task(t, a, v.UserID)
	next, err := f.LastNotification(f.ctx)
	ok(t, err)
	if next <= last {
		t.Errorf("Seq %d was reused, want it greater than %d", next, last)
	}
}
