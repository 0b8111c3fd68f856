package storagetest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

func testNotification(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	received := make(chan core.Wakeup, 100)
	defer f.Subscribe(func(s core.Wakeup) { received <- s })()
	last, err := f.LastNotification(f.ctx)
	ok(t, err)
	same(t, "LastNotification of an empty database", last, int64(0))
	task := f.task(t, a, v.UserID)
	same(t, "wakeup", <-received, core.Wakeup{Topic: core.TopicNotifications})
	run := f.begin(t, a, task)
	e := f.end(run)
	e.Task = &core.TaskEnd{ID: task.ID, Status: core.TaskFailed, Error: &sdk.Error{Code: sdk.CodeInternal, Message: "secret words"}}
	ok(t, f.EndRun(f.ctx, e))
	system, err := core.NewSystemNotification(core.LevelInfo, "All is well", "")
	ok(t, err)
	ok(t, f.AddNotification(f.ctx, system))
	private, err := core.NewSystemNotification(core.LevelInfo, "Yours", "user-other")
	ok(t, err)
	ok(t, f.AddNotification(f.ctx, private))

	read := func(filter core.NotificationFilter, after, upto int64) (got []string) {
		t.Helper()
		all, _, err := f.Notifications(f.ctx, filter, after, upto, 100)
		ok(t, err)
		for i, n := range all {
			if i > 0 && n.Seq <= all[i-1].Seq {
				t.Errorf("Seq %d follows %d, want increasing numbers", n.Seq, all[i-1].Seq)
			}
			var body struct{ Type, Status, Message string }
			ok(t, json.Unmarshal(n.Data, &body))
			got = append(got, body.Type+" "+body.Status+body.Message)
		}
		return got
	}
	ofTask := []string{"task.status pending", "task.status running", "task.status failed"}
	same(t, "of the task", read(core.NotificationFilter{TaskID: task.ID}, 0, 0), ofTask)
	same(t, "of others' agent", read(core.NotificationFilter{AgentID: "agent-other"}, 0, 0), []string(nil))
	same(t, "of the system", read(core.NotificationFilter{UserID: v.UserID, Types: []core.NotificationType{core.NotificationSystem}}, 0, 0),
		[]string{"system.notification All is well"})
	mine := read(core.NotificationFilter{UserID: v.UserID, AgentID: a.ID}, 0, 0)
	for _, want := range append(slices.Clone(ofTask), "agent.message Good day") {
		if !slices.Contains(mine, want) {
			t.Errorf("got %q, want it to contain %q", mine, want)
		}
	}
	all, _, err := f.Notifications(f.ctx, core.NotificationFilter{}, 0, 0, 100)
	ok(t, err)
	last, err = f.LastNotification(f.ctx)
	ok(t, err)
	same(t, "last", last, all[len(all)-1].Seq)
	same(t, "from the second to the third", len(read(core.NotificationFilter{}, all[0].Seq, all[2].Seq)), 2)
	for _, n := range all {
		if strings.Contains(string(n.Data), "secret words") {
			t.Errorf("notification contains the message of an internal error: %s", n.Data)
		}
	}
}
