package storagetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// large is a text of 1 MiB. Four of them with their other columns exceed core.MaxPageBytes.
var large = strings.Repeat("x", 1<<20)

// testPageBytes checks that the pages of large objects end early, and that a client which continues after the
// objects it has received gets each object once.
func testPageBytes(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	const objects = 7
	a := f.agent(t, v)
	config := json.RawMessage(`{"x":"` + large + `"}`)
	tooLarge := json.RawMessage(`{"x":"` + strings.Repeat(large, 5) + `"}`)
	for i := range objects {
		config := config
		if i == 0 {
			config = tooLarge // it is the last one of the lists
		}
		f.agent(t, v, func(a *core.Agent) { a.Type, a.Config, a.CreatedAt = "large", config, f.at(i) })
		f.server(t, v, func(s *core.MCPServer) { s.Slug, s.Config, s.CreatedAt = fmt.Sprint("large-", i), config, f.at(i) })
		f.task(t, a, v.UserID, func(t *core.Task) { t.Data, t.CreatedAt = config, f.at(i) })
	}
	for name, list := range map[string]func(p core.Page) (ids []string, total int, err error){
		"agents": func(p core.Page) ([]string, int, error) {
			found, total, err := f.Agents(f.ctx, v, core.AgentFilter{Type: "large", Page: p})
			return idsOf(found, func(a *core.Agent) string { return a.ID }), total, err
		},
		"MCP servers": func(p core.Page) ([]string, int, error) {
			found, total, err := f.MCPServers(f.ctx, v, p)
			return serverIDs(found), total, err
		},
		"tasks": func(p core.Page) ([]string, int, error) {
			found, total, err := f.Tasks(f.ctx, v, core.TaskFilter{Page: p})
			return idsOf(found, func(t *core.Task) string { return t.ID }), total, err
		},
	} {
		var all, pages []string
		for len(all) < objects {
			ids, total, err := list(core.Page{Limit: 100, Offset: len(all)})
			ok(t, err)
			same(t, name+": total", total, objects)
			if len(ids) == 0 {
				t.Fatalf("%s: empty page at offset %d, want an object", name, len(all))
			}
			pages = append(pages, fmt.Sprint(len(ids)))
			all = append(all, ids...)
		}
		same(t, name+": sizes of the pages", strings.Join(pages, " "), "3 3 1")
		slices.Sort(all)
		same(t, name+": different objects", len(slices.Compact(all)), objects)
	}
}

func idsOf[T any](list []*T, id func(*T) string) []string {
	ids := make([]string, len(list))
	for i, x := range list {
		ids[i] = id(x)
	}
	return ids
}

// testLargeMessages checks that the messages of a session are limited by their size.
func testLargeMessages(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	var ids []string
	say := func(text string) {
		s := f.turn(a, v.UserID, "s")
		s.Input.Parts = []sdk.Part{{Text: text}}
		s.Input.CreatedAt = f.at(len(ids))
		ok(t, f.StartRun(f.ctx, nil, s))
		ok(t, f.EndRun(f.ctx, core.RunEnd{Run: &core.Run{
			ID: s.Run.ID, Owner: s.Run.Owner, Attempt: 1, Status: core.RunCancelled, EndedAt: f.now,
		}}))
		ids = append(ids, s.Input.ID)
	}
	for range 7 {
		say(large)
	}
	say(strings.Repeat(large, 5))
	last := f.turn(a, v.UserID, "s")
	last.Input.CreatedAt = f.at(8)
	ok(t, f.StartRun(f.ctx, nil, last))
	history := func(before string) (string, bool) {
		got, more, err := f.HistoryBefore(f.ctx, last.Run.SessionKey, before, 100)
		ok(t, err)
		return fmt.Sprint(messageIDs(got)), more
	}
	for _, c := range []struct {
		name, before string
		want         []string
		more         bool
	}{
		{"a message that is too large", last.Input.ID, nil, true},
		{"the newest", ids[7], ids[3:7], true},
		{"all", ids[3], ids[:3], false},
	} {
		got, more := history(c.before)
		same(t, c.name, got, fmt.Sprint(append([]string{}, c.want...)))
		same(t, c.name+": more", more, c.more)
	}

	filter := core.MessageFilter{AgentID: a.ID, UserID: v.UserID, SessionID: "s", Limit: 100, Before: f.at(8)}
	for _, want := range [][]string{ids[7:8], ids[3:7], ids[0:3]} {
		got, more, err := f.Messages(f.ctx, filter)
		ok(t, err)
		same(t, "Messages", messageIDs(got), want)
		same(t, "more", more, want[0] != ids[0])
		filter.Before = got[0].CreatedAt
	}
}

// testEventPageBytes checks the pages of a run's events and of notifications.
func testEventPageBytes(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	s := f.start(t, f.agent(t, v), v.UserID, "s")
	after, err := f.LastNotification(f.ctx)
	ok(t, err)
	for i := range 7 {
		row := f.tokens(s.Run.ID, int64(i+2), int64(i+2))
		row.Data = json.RawMessage(`["` + large + `"]`)
		ok(t, f.AppendEvents(f.ctx, []core.EventRow{row}))
		n, err := core.NewSystemNotification(core.LevelInfo, large, "")
		ok(t, err)
		ok(t, f.AddNotification(f.ctx, n))
	}
	for after := range int64(7) {
		got, err := f.Events(f.ctx, s.Run.ID, after+1, 100)
		ok(t, err)
		same(t, "events of a page", len(got), 1)
	}

	// The second filter selects the same, but not in the order in which SQLite finds them.
	for name, filter := range map[string]core.NotificationFilter{"all": {}, "of a user": {UserID: v.UserID}} {
		notifications, more, err := f.Notifications(f.ctx, filter, after, 0, 100)
		ok(t, err)
		same(t, name+": notifications of a page", len(notifications), 3)
		same(t, name+": more", more, true)
		last := notifications[2].Seq
		same(t, name+": the last one of the page", last-notifications[0].Seq, int64(2))
		notifications, more, err = f.Notifications(f.ctx, filter, last+3, 0, 100)
		ok(t, err)
		same(t, name+": notifications of the last page", len(notifications), 1)
		same(t, name+": more after the last page", more, false)
	}
}
