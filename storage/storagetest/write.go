package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/agentarea/agentarea/core"
)

// testWriteParallel checks that acknowledged writes are visible immediately, with 100 concurrent writers.
func testWriteParallel(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			session := fmt.Sprint("s", i)
			for turn := range 3 {
				s := f.turn(a, v.UserID, session)
				if err := f.StartRun(f.ctx, nil, s); err != nil {
					t.Error(err)
					return
				}
				e := f.end(s.Run)
				if err := errors.Join(
					f.AppendEvents(f.ctx, []core.EventRow{f.tokens(s.Run.ID, 2, 9)}),
					f.EndRun(f.ctx, e),
				); err != nil {
					t.Error(err)
					return
				}
				history, _, err := f.HistoryBefore(f.ctx, s.Run.SessionKey, e.Answer.ID, 100)
				if err != nil || len(history) != 2*turn+1 || history[2*turn].ID != s.Input.ID {
					t.Errorf("%s: HistoryBefore answer %d: got %d messages, error %v", session, turn, len(history), err)
				}
			}
		})
	}
	wg.Wait()
	list := f.sessions(t, a, v.UserID)
	same(t, "sessions", len(list), 100)
	for _, s := range list {
		same(t, "messages of "+s.ID, s.Messages, 6)
	}
}

// testWriteIsolated checks that concurrent writes succeed and fail independently.
func testWriteIsolated(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	f.start(t, a, v.UserID, "busy")
	starts := make([]core.RunStart, 60)
	var wg sync.WaitGroup
	for i := range starts {
		session, want := fmt.Sprint("free", i), core.Code("")
		if i%3 == 0 {
			session, want = "busy", core.CodeConflict
		}
		starts[i] = f.turn(a, v.UserID, session)
		if i%3 == 1 { // fails at the last but one statement
			starts[i].Input.ID, want = starts[0].Input.ID, ""
		}
		wg.Go(func() {
			err := f.StartRun(f.ctx, nil, starts[i])
			if i%3 == 1 {
				if err != nil && core.CodeOf(err) != core.CodeConflict {
					t.Error(err)
				}
				return
			}
			if want == "" && err != nil || want != "" && core.CodeOf(err) != want {
				t.Errorf("%s: got %v, want %q", session, err, want)
			}
		})
	}
	wg.Wait()
	stored := 0
	for i, s := range starts {
		_, err := f.Run(f.ctx, v, s.Run.ID)
		switch i % 3 {
		case 0:
			wantCode(t, err, core.CodeNotFound)
		case 1:
			if err == nil {
				stored++
			}
		case 2:
			ok(t, err)
		}
	}
	same(t, "stored runs with the same message id", stored, 1)
	same(t, "sessions", len(f.sessions(t, a, v.UserID)), 1+20+1)
}

// testWriteCancelled checks that a write with a cancelled context has no effect, and that the result of
// a write is correct even if its context is cancelled meanwhile.
func testWriteCancelled(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	gone, cancel := context.WithCancel(f.ctx)
	cancel()
	if err := f.StartRun(gone, nil, f.turn(a, v.UserID, "gone")); !errors.Is(err, context.Canceled) {
		t.Fatalf("StartRun = %v, want context.Canceled", err)
	}
	same(t, "sessions", len(f.sessions(t, a, v.UserID)), 0)

	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(f.ctx)
			s := f.turn(a, v.UserID, fmt.Sprint("s", i))
			go cancel()
			err := f.StartRun(ctx, nil, s)
			_, found := f.Run(f.ctx, v, s.Run.ID)
			if (err == nil) != (found == nil) || err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("StartRun = %v, but then Run = %v", err, found)
			}
		})
	}
	wg.Wait()
}

func testReadCancelled(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	gone, cancel := context.WithCancel(f.ctx)
	cancel()
	_, one := f.User(gone, v.UserID)
	_, _, list := f.Users(gone, core.Page{Limit: 1})
	for _, err := range []error{one, list} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	}
	_, err := f.User(f.ctx, v.UserID)
	ok(t, err)
}

// testPaging checks that pages of any size together contain each item of the list once, in order.
func testPaging(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	for i := range 23 {
		f.agent(t, v, func(a *core.Agent) { a.CreatedAt = f.at(i % 3) })
		s := f.turn(a, v.UserID, fmt.Sprint("s", i))
		s.Run.CreatedAt = f.at(i % 3)
		ok(t, f.StartRun(f.ctx, nil, s))
		f.user(t, fmt.Sprint("user ", i*7%23), core.RoleMember)
		f.file(t, v, func(file *core.File) { file.CreatedAt = f.at(i % 3) })
		f.server(t, v, func(s *core.MCPServer) { s.CreatedAt = f.at(i % 3) })
	}
	lists := map[string]func(p core.Page) ([]string, int, error){
		"users": func(p core.Page) ([]string, int, error) {
			list, total, err := f.Users(f.ctx, p)
			return ids(list, func(u *core.User) string { return u.ID }), total, err
		},
		"agents": func(p core.Page) ([]string, int, error) {
			list, total, err := f.Agents(f.ctx, v, core.AgentFilter{Page: p})
			return agentIDs(list), total, err
		},
		"files": func(p core.Page) ([]string, int, error) {
			list, total, err := f.Files(f.ctx, v, core.FileFilter{Page: p})
			return fileIDs(list), total, err
		},
		"servers": func(p core.Page) ([]string, int, error) {
			list, total, err := f.MCPServers(f.ctx, v, p)
			return serverIDs(list), total, err
		},
		"sessions": func(p core.Page) ([]string, int, error) {
			list, total, err := f.Sessions(f.ctx, core.SessionFilter{AgentID: a.ID, UserID: v.UserID, Page: p})
			return ids(list, func(s *core.Session) string { return s.Key }), total, err
		},
	}
	for name, list := range lists {
		full, total, err := list(core.Page{Limit: 1000})
		ok(t, err)
		same(t, name+" total", total, len(full))
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				var got []string
				for len(got) < len(full) {
					limit := rapid.IntRange(1, 30).Draw(t, "limit")
					page, n, err := list(core.Page{Limit: limit, Offset: len(got)})
					if err != nil || n != total || len(page) != min(limit, len(full)-len(got)) {
						t.Fatalf("limit %d, offset %d: got %d items, total %d, error %v", limit, len(got), len(page), n, err)
					}
					got = append(got, page...)
				}
				for i := range full {
					if got[i] != full[i] {
						t.Fatalf("item %d: got %s, want %s", i, got[i], full[i])
					}
				}
			})
		})
	}
}

func ids[T any](list []T, id func(T) string) []string {
	var all []string
	for _, x := range list {
		all = append(all, id(x))
	}
	return all
}
