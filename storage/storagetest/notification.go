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
	e.Task = &core.TaskEnd{
		ID: task.ID, Status: core.TaskFailed, Error: &sdk.Error{Code: sdk.CodeInternal, Message: "secret words"},
	}
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
	same(t, "of the task", read(core.NotificationFilter{
		TaskID: task.ID, Types: []core.NotificationType{core.NotificationTaskStatus},
	}, 0, 0), ofTask)
	same(t, "of others' agent", read(core.NotificationFilter{AgentID: "agent-other"}, 0, 0), []string(nil))
	same(t, "of the system",
		read(core.NotificationFilter{UserID: v.UserID, Types: []core.NotificationType{core.NotificationSystem}}, 0, 0),
		[]string{"system.notification All is well"})
	mine := read(core.NotificationFilter{UserID: v.UserID, AgentID: a.ID}, 0, 0)
	for _, want := range append(slices.Clone(ofTask), "agent.message Good day") {
		if !slices.Contains(mine, want) {
			t.Errorf("got %q, want it to contain %q", mine, want)
		}
	}
	same(t, "of the agent, without tasks", read(core.NotificationFilter{AgentID: a.ID, WithoutTasks: true}, 0, 0),
		[]string(nil))
	all, _, err := f.Notifications(f.ctx, core.NotificationFilter{}, 0, 0, 100)
	ok(t, err)
	last, err = f.LastNotification(f.ctx)
	ok(t, err)
	same(t, "last", last, all[len(all)-1].Seq)
	newest, err := f.NewestNotification(f.ctx)
	ok(t, err)
	same(t, "newest", newest, last)
	same(t, "from the second to the third", len(read(core.NotificationFilter{}, all[0].Seq, all[2].Seq)), 2)
	for _, n := range all {
		if strings.Contains(string(n.Data), "secret words") {
			t.Errorf("notification contains the message of an internal error: %s", n.Data)
		}
	}
}

// testNotificationDeleted checks that notifications are deleted with the session, task or agent that their
// text comes from.
func testNotificationDeleted(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	talk := func(a *core.Agent, session, answer string) {
		t.Helper()
		e := f.end(f.start(t, a, v.UserID, session).Run)
		e.Answer.Parts = []sdk.Part{{Text: answer}}
		ok(t, f.EndRun(f.ctx, e))
	}
	work := func(a *core.Agent, result string) {
		t.Helper()
		task := f.task(t, a, v.UserID)
		e := f.end(f.begin(t, a, task))
		e.Answer.Parts = []sdk.Part{{Text: "answer of " + task.ID}}
		e.Task = &core.TaskEnd{
			ID: task.ID, Status: core.TaskCompleted, Result: json.RawMessage(`{"message":"` + result + `"}`),
		}
		ok(t, f.EndRun(f.ctx, e))
	}
	a, b := f.agent(t, v), f.agent(t, v)
	talk(a, "gone", "text of a deleted session")
	talk(a, "kept", "text of a kept session")
	talk(b, "gone", "text of a deleted agent's session")
	work(a, "result of a deleted task")
	work(b, "result of a deleted agent's task")
	contains := func(text string) bool {
		t.Helper()
		all, _, err := f.Notifications(f.ctx, core.NotificationFilter{}, 0, 0, 100)
		ok(t, err)
		return slices.ContainsFunc(all, func(n *core.Notification) bool { return strings.Contains(string(n.Data), text) })
	}
	for _, c := range []struct {
		text   string
		remove func() error
	}{
		{"text of a deleted session", func() error { return f.DeleteSession(f.ctx, nil, a.ID, v.UserID, "gone") }},
		{"result of a deleted agent's task", func() error { return f.DeleteAgent(f.ctx, nil, v, b.ID, core.AgentDeletion{}) }},
		{"text of a deleted agent's session", func() error { return nil }},
		{"result of a deleted task", func() error {
			_, err := f.DeleteTasks(f.ctx, f.now.Add(time.Hour), 10)
			return err
		}},
		{"text of a kept session", func() error {
			_, err := f.DeleteSessions(f.ctx, f.now.Add(time.Hour), 10)
			return err
		}},
	} {
		if c.text != "text of a deleted agent's session" && !contains(c.text) {
			t.Errorf("no notification contains %q before the deletion", c.text)
		}
		ok(t, c.remove())
		if contains(c.text) {
			t.Errorf("a notification contains %q after the deletion", c.text)
		}
	}
	all, _, err := f.Notifications(f.ctx, core.NotificationFilter{}, 0, 0, 100)
	ok(t, err)
	same(t, "remaining notifications", len(all), 0)
}
