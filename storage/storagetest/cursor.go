package storagetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// cursorList is a list with functions that change it.
type cursorList struct {
	// page returns the IDs of the objects on a page and their positions.
	page func(p core.Page) ([]string, []core.PageKey, error)
	// add adds an object that was created so many microseconds after f.now, and returns its ID.
	add    func(micros int) (string, error)
	remove func(id string) error
}

// listed returns the IDs and positions of objects, for cursorList.page.
func listed[T any](
	all []T, err error, id func(T) string, key func(T) core.PageKey,
) ([]string, []core.PageKey, error) {
	keys := make([]core.PageKey, len(all))
	for i := range all {
		keys[i] = key(all[i])
	}
	return ids(all, id), keys, err
}

func newest(at time.Time, id string) core.PageKey {
	return core.PageKey{Number: at.UnixMicro(), Text: id}
}

// cursorLists are the lists of a user, who has an agent.
func (f *fixture) cursorLists(v core.Actor, a *core.Agent) map[string]cursorList {
	return map[string]cursorList{
		"agents": {
			page: func(p core.Page) ([]string, []core.PageKey, error) {
				all, _, err := f.Agents(f.ctx, v, core.AgentFilter{Type: "listed", Page: p})
				return listed(all, err, func(a *core.Agent) string { return a.ID },
					func(a *core.Agent) core.PageKey { return newest(a.CreatedAt, a.ID) })
			},
			add: func(micros int) (string, error) {
				a := &core.Agent{
					ID: core.NewID("agent"), Type: "listed", Config: []byte("{}"), CreatedBy: v.UserID, CreatedAt: f.at(micros),
				}
				return a.ID, f.CreateAgent(f.ctx, nil, a)
			},
			remove: func(id string) error { return f.DeleteAgent(f.ctx, nil, v, id, core.AgentDeletion{}) },
		},
		"tasks": {
			page: func(p core.Page) ([]string, []core.PageKey, error) {
				all, _, err := f.Tasks(f.ctx, v, core.TaskFilter{Page: p})
				return listed(all, err, func(t *core.Task) string { return t.ID },
					func(t *core.Task) core.PageKey { return newest(t.CreatedAt, t.ID) })
			},
			add: func(micros int) (string, error) {
				task := f.unstoredTask(a, v.UserID, func(t *core.Task) { t.CreatedAt = f.at(micros) })
				return task.ID, f.CreateTask(f.ctx, nil, task)
			},
		},
		"MCP servers": {
			page: func(p core.Page) ([]string, []core.PageKey, error) {
				all, _, err := f.MCPServers(f.ctx, v, p)
				return listed(all, err, func(s *core.MCPServer) string { return s.ID },
					func(s *core.MCPServer) core.PageKey { return newest(s.CreatedAt, s.ID) })
			},
			add: func(micros int) (string, error) {
				s := f.unstoredServer(v, func(s *core.MCPServer) { s.CreatedAt = f.at(micros) })
				return s.ID, f.CreateMCPServer(f.ctx, nil, v, s, false)
			},
			remove: func(id string) error { return f.DeleteMCPServer(f.ctx, nil, v, id, core.MCPServerDeletion{}) },
		},
		"sessions": {
			page: func(p core.Page) ([]string, []core.PageKey, error) {
				all, _, err := f.Sessions(f.ctx, core.SessionFilter{AgentID: a.ID, UserID: v.UserID, Page: p})
				return listed(all, err, func(s *core.Session) string { return s.ID },
					func(s *core.Session) core.PageKey { return newest(s.UpdatedAt, s.Key) })
			},
			add: func(micros int) (string, error) {
				s := f.turn(a, v.UserID, core.NewID("s"))
				s.Run.CreatedAt = f.at(micros)
				if err := f.StartRun(f.ctx, nil, s); err != nil {
					return "", err
				}
				e := f.end(s.Run)
				e.Answer.CreatedAt = s.Run.CreatedAt
				return s.Run.SessionID, f.EndRun(f.ctx, e)
			},
			remove: func(id string) error { return f.DeleteSession(f.ctx, nil, a.ID, v.UserID, id) },
		},
		"API keys": {
			page: func(p core.Page) ([]string, []core.PageKey, error) {
				all, _, err := f.APIKeys(f.ctx, v, v.UserID, p)
				return listed(all, err, func(k *core.APIKey) string { return k.ID },
					func(k *core.APIKey) core.PageKey { return newest(k.CreatedAt, k.ID) })
			},
			add: func(micros int) (string, error) {
				id := core.NewID("key")
				return id, f.CreateAPIKey(f.ctx, nil, &core.APIKey{
					ID: id, UserID: v.UserID, Name: id, Hash: []byte(id), CreatedAt: f.at(micros),
				})
			},
			remove: func(id string) error { return f.DeleteAPIKey(f.ctx, nil, v, id) },
		},
		"users": {
			page: func(p core.Page) ([]string, []core.PageKey, error) {
				all, _, err := f.Users(f.ctx, p)
				return listed(all, err, func(u *core.User) string { return u.ID },
					func(u *core.User) core.PageKey { return core.PageKey{Text: u.Username} })
			},
			add: func(micros int) (string, error) {
				id := core.NewID("user")
				return id, f.CreateUser(f.ctx, nil, &core.User{ID: id, Username: fmt.Sprintf("%c%s", 'A'+micros%50, id)})
			},
		},
		"audit": {
			page: func(p core.Page) ([]string, []core.PageKey, error) {
				all, _, err := f.Audit(f.ctx, core.AuditFilter{Action: "listed", Page: p})
				return listed(all, err, func(e *core.AuditEntry) string { return e.Target },
					func(e *core.AuditEntry) core.PageKey { return core.PageKey{Number: e.Seq} })
			},
			add: func(int) (string, error) {
				id := core.NewID("target")
				return id, f.Record(f.ctx, &core.AuditEntry{At: f.now, Action: "listed", Target: id})
			},
		},
	}
}

// testCursor reads each list page by page while objects are added and deleted, also concurrently. Every object that
// exists the whole time is returned once, and none twice.
func testCursor(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	for name, list := range f.cursorLists(v, a) {
		t.Run(name, func(t *testing.T) {
			kept, _, err := list.page(core.Page{Limit: 1000})
			ok(t, err)
			for i := range 15 {
				id, err := list.add(i % 4)
				ok(t, err)
				kept = append(kept, id)
			}
			var more sync.WaitGroup
			more.Go(func() { // it adds objects while pages are read
				for range 50 {
					if _, err := list.add(rand.IntN(4)); err != nil {
						t.Errorf("cannot add: %v", err)
						return
					}
				}
			})
			for limit := range 5 {
				seen := readAll(t, list, 1+limit*limit)
				for _, id := range kept {
					if !slices.Contains(seen, id) {
						t.Errorf("the pages of up to %d objects have no %s", 1+limit*limit, id)
					}
				}
				slices.Sort(seen)
				if once := slices.Compact(slices.Clone(seen)); len(once) != len(seen) {
					t.Errorf("the pages have %d objects, of which %d differ", len(seen), len(once))
				}
			}
			more.Wait()
		})
	}
}

// readAll returns the IDs on all pages of a list. Between two pages, it adds objects and deletes those that it has
// added before.
func readAll(t *testing.T, list cursorList, limit int) (seen []string) {
	t.Helper()
	var added []string
	var after *core.PageKey
	for i := 0; ; i++ {
		page, keys, err := list.page(core.Page{Limit: limit, After: after})
		ok(t, err)
		if len(page) == 0 {
			return seen
		}
		seen = append(seen, page...)
		after = &keys[len(keys)-1]
		if i >= 8 {
			continue
		}
		id, err := list.add(i % 4)
		ok(t, err)
		if added = append(added, id); list.remove != nil && len(added) > 2 {
			ok(t, list.remove(added[0]))
			added = added[1:]
		}
	}
}

// testCursorFiles is testCursor for files, which need a blob.
func testCursorFiles(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	var want []string
	for i := range 9 {
		file := f.file(t, v, func(file *core.File) { file.CreatedAt = f.at(i % 3) })
		want = append(want, file.ID)
	}
	var got []string
	var after *core.PageKey
	for {
		page, _, err := f.Files(f.ctx, v, core.FileFilter{Page: core.Page{Limit: 2, After: after}})
		ok(t, err)
		if len(page) == 0 {
			break
		}
		for _, file := range page {
			got = append(got, file.ID)
			key := newest(file.CreatedAt, file.ID)
			after = &key
		}
		f.file(t, v, func(file *core.File) { file.CreatedAt = f.at(9) }) // it belongs to the first page
	}
	slices.Sort(got)
	same(t, "files on all pages", got, want)
}

// testCursorUsage reads the rows of each grouping of usage page by page.
func testCursorUsage(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range 12 {
		a := f.agent(t, v)
		s := f.start(t, a, v.UserID, "s")
		end := f.end(s.Run)
		end.Call = &core.Call{
			RunID: s.Run.ID, Number: 1, Kind: core.CallComplete, RequestHash: []byte{1}, Done: true,
			ModelID: fmt.Sprint("p/", i%3), StartedAt: f.now, EndedAt: day.AddDate(0, 0, i%4),
		}
		ok(t, f.EndRun(f.ctx, end))
	}
	for _, by := range [][]core.UsageKey{
		{core.UsageByDay},
		{core.UsageByModel, core.UsageByDay},
		{core.UsageByDay, core.UsageByModel, core.UsageByAgent, core.UsageByUser},
	} {
		filter := core.UsageFilter{From: day, To: day.AddDate(0, 0, 9), By: by, Page: core.Page{Limit: 100}}
		want, total, _, err := f.Usage(f.ctx, v, filter)
		ok(t, err)
		filter.Limit = 2
		var got []core.UsageRow
		for {
			page, n, _, err := f.Usage(f.ctx, v, filter)
			ok(t, err)
			same(t, "total", n, total)
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			key := page[len(page)-1].PageKey()
			filter.After = &key
		}
		same(t, fmt.Sprint("usage by ", by), got, want)
	}
}
