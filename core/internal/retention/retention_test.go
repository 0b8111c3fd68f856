package retention

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/dbtest"
)

// fakeStore has sessions, each of which takes a time to delete, and a time for each batch.
type fakeStore struct {
	core.RetentionStore
	sessions           int
	perSession, commit time.Duration
	// longest is the longest batch.
	longest time.Duration
}

func (f *fakeStore) DeleteSessions(_ context.Context, _ time.Time, limit int) (int, error) {
	n := min(limit, f.sessions)
	took := f.commit + time.Duration(n)*f.perSession
	time.Sleep(took)
	f.sessions -= n
	f.longest = max(f.longest, took)
	return n, nil
}

func (*fakeStore) DeleteToolLists(context.Context, time.Time, int) (int, error) { return 0, nil }
func (*fakeStore) DeleteLogins(context.Context, time.Time, int) (int, error)    { return 0, nil }

func (*fakeStore) DeleteIdempotencyKeys(context.Context, time.Time, int) (int, error) { return 0, nil }

// TestSweep_pace checks that small sessions are deleted fast, and that batches of large ones stay short.
func TestSweep_pace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		perSession, commit time.Duration
		atLeast            float64 // sessions per second
		longest            time.Duration
	}{
		"small sessions":  {50 * time.Microsecond, time.Millisecond, 5000, 2 * batchTime},
		"usual sessions":  {300 * time.Microsecond, 2 * time.Millisecond, 1000, 2 * batchTime},
		"a slow disk":     {300 * time.Microsecond, 15 * time.Millisecond, 1000, 2 * batchTime},
		"large sessions":  {5 * time.Millisecond, 2 * time.Millisecond, 100, 2 * batchTime},
		"larger sessions": {20 * time.Millisecond, 2 * time.Millisecond, 40, minBatch*20*time.Millisecond + 2*time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const sessions = 10_000
				store := &fakeStore{sessions: sessions, perSession: c.perSession, commit: c.commit}
				begun := time.Now()
				s := &Sweeper{Options: Options{
					Store: store, Keep: Keep{Sessions: time.Hour}, Logger: slog.New(slog.DiscardHandler),
				}}
				s.sweep(t.Context())
				rate := sessions / time.Since(begun).Seconds()
				if store.sessions != 0 || rate < c.atLeast || store.longest > c.longest {
					t.Errorf("%d sessions remain; deleted %.0f per second in batches of at most %s; want 0, at least %.0f and at most %s",
						store.sessions, rate, store.longest, c.atLeast, c.longest)
				}
			})
		})
	}
}

// BenchmarkSweep measures the sessions per second that are deleted on SQLite, with a number of turns in each.
func BenchmarkSweep(b *testing.B) {
	for _, turns := range []int{1, 5} {
		b.Run(fmt.Sprintf("%d turns", turns), func(b *testing.B) {
			const sessions = 5000
			db := dbtest.Open(b)
			for b.Loop() {
				b.StopTimer()
				fill(b, db, sessions, turns)
				s := &Sweeper{Options: Options{
					Store: db, Keep: Keep{Sessions: time.Nanosecond}, Logger: slog.New(slog.DiscardHandler),
				}}
				b.StartTimer()
				s.sweep(context.Background())
			}
			b.ReportMetric(float64(b.N*sessions)/b.Elapsed().Seconds(), "sessions/s")
		})
	}
}

// fill adds sessions of one user.
func fill(b *testing.B, db *storage.DB, sessions, turns int) {
	b.Helper()
	ctx, now := context.Background(), time.Now()
	user := core.NewID("user")
	agent := &core.Agent{
		ID: core.NewID("agent"), Name: "bench", Type: "chat", Status: core.AgentActive, CreatedBy: user, CreatedAt: now,
		Config: json.RawMessage(`{"model":"echo"}`),
	}
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(db.CreateUser(ctx, nil, &core.User{ID: user, Username: user, Role: core.RoleMember, CreatedAt: now}))
	must(db.CreateAgent(ctx, nil, agent))
	work := make(chan int)
	failed := make(chan error, 16)
	for range cap(failed) {
		go func() {
			for i := range work {
				for range turns {
					if err := turn(ctx, db, agent, fmt.Sprint("s", i)); err != nil {
						failed <- err
						return
					}
				}
			}
			failed <- nil
		}()
	}
	for i := range sessions {
		work <- i
	}
	close(work)
	for range cap(failed) {
		must(<-failed)
	}
}

// turn stores a turn as the engine does.
func turn(ctx context.Context, db *storage.DB, agent *core.Agent, session string) error {
	now := time.Now()
	run := &core.Run{
		ID: core.NewID("run"), Kind: core.RunChat, AgentID: agent.ID, UserID: agent.CreatedBy, SessionID: session,
		AgentType: "chat", Config: agent.Config, Status: core.RunRunning, Owner: "server", Attempt: 1, CreatedAt: now,
	}
	in := &core.Message{
		ID: core.NewID("msg"), RunID: run.ID, Role: sdk.RoleUser, CreatedAt: now, Parts: []sdk.Part{{Text: "Hello"}},
	}
	run.InputID = in.ID
	event := func(first, last uint64, kind string) core.EventRow {
		return core.EventRow{
			RunID: run.ID, First: int64(first), Last: int64(last), Type: kind, Data: json.RawMessage(`{}`), CreatedAt: now,
		}
	}
	err := db.StartRun(ctx, nil, core.RunStart{Run: run, Input: in, Events: []core.EventRow{event(1, 1, "start")}})
	if err != nil {
		return err
	}
	run.Status, run.EndedAt = core.RunCompleted, now
	return db.EndRun(ctx, core.RunEnd{
		Run: run, Complete: true,
		Answer: &core.Message{
			ID: core.NewID("msg"), RunID: run.ID, Role: sdk.RoleAssistant, CreatedAt: now, Parts: []sdk.Part{{Text: "Hi"}},
		},
		Call: &core.Call{
			RunID: run.ID, Number: 1, Kind: core.CallComplete, RequestHash: make([]byte, 32), Done: true,
			Request: json.RawMessage(`{}`), Result: json.RawMessage(`{}`), StartedAt: now, EndedAt: now,
		},
		Events: []core.EventRow{event(2, 5, "token"), event(6, 6, "end")},
	})
}
