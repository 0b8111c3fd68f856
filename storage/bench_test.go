package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/storage"
)

// The benchmarks measure the path of a turn with 1 and 16 concurrent clients. The time depends on the
// disk, so they also report the CPU time of the whole process per operation.

type benchmark struct {
	*storage.DB
	ctx   context.Context
	user  *core.User
	agent *core.Agent
	login *core.Login
}

const benchSessions = 1000

func open(b *testing.B) *benchmark {
	db, _ := openNew(b, storage.Options{})
	x, err := newBenchmark(context.Background(), db)
	must(b, err)
	return x
}

func newBenchmark(ctx context.Context, db *storage.DB) (*benchmark, error) {
	now := time.Now()
	id := core.NewID("user")
	x := &benchmark{
		DB: db, ctx: ctx, user: &core.User{ID: id, Username: id, Role: core.RoleMember, CreatedAt: now},
		login: &core.Login{ID: core.NewID("login"), UserID: id, RefreshHash: make([]byte, 32), CreatedAt: now},
		agent: &core.Agent{
			ID: core.NewID("agent"), Name: "bench", Type: "chat", Status: core.AgentActive, CreatedBy: id, CreatedAt: now,
			Config: json.RawMessage(`{"model":"echo","temperature":0.7,"system_prompt":"You are a helpful assistant."}`),
		},
	}
	return x, errors.Join(db.CreateUser(ctx, nil, x.user), db.CreateLogin(ctx, nil, x.login),
		db.CreateAgent(ctx, nil, x.agent))
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (x *benchmark) actor() core.Actor { return core.Actor{UserID: x.user.ID, Role: x.user.Role} }

func (x *benchmark) start(session string) (*core.Run, *core.Message, error) {
	now := time.Now()
	run := &core.Run{
		ID: core.NewID("run"), Kind: core.RunChat, AgentID: x.agent.ID, UserID: x.user.ID, SessionID: session,
		AgentType: "chat", Config: x.agent.Config, Status: core.RunRunning, Stream: true,
		Seed: 7, Owner: "server-1", Attempt: 1, CreatedAt: now,
	}
	in := &core.Message{
		ID: core.NewID("msg"), RunID: run.ID, Role: sdk.RoleUser, CreatedAt: now,
		Parts: []sdk.Part{{Text: "Hello, how can you help me with what I have to do today?"}},
	}
	run.InputID = in.ID
	data := json.RawMessage(`{"type":"start","session_id":"` + session + `","run_id":"` + run.ID + `"}`)
	err := x.StartRun(x.ctx, nil, core.RunStart{Run: run, Input: in, Events: []core.EventRow{
		{RunID: run.ID, First: 1, Last: 1, Type: "start", Data: data, CreatedAt: now},
	}})
	return run, in, err
}

func (x *benchmark) end(run *core.Run) error {
	now := time.Now()
	run.Status, run.EndedAt, run.Model = core.RunCompleted, now, "echo"
	run.Usage = sdk.Usage{InputTokens: 20, OutputTokens: 50}
	answer := &core.Message{
		ID: core.NewID("msg"), RunID: run.ID, Role: sdk.RoleAssistant, CreatedAt: now, Parts: []sdk.Part{{Text: text}},
		Metadata: json.RawMessage(`{"model":"echo","tokens_used":70,"run_id":"` + run.ID + `"}`),
	}
	return x.EndRun(x.ctx, core.RunEnd{
		Run: run, Answer: answer, Call: x.call(run), Complete: true, Events: []core.EventRow{
			{RunID: run.ID, First: 2, Last: 51, Type: "token", Data: json.RawMessage(`["` + text + `"]`), CreatedAt: now},
			{RunID: run.ID, First: 52, Last: 52, Type: "end", Data: json.RawMessage(`{"type":"end","message_id":"` + answer.ID + `"}`), CreatedAt: now},
		},
	})
}

func (x *benchmark) call(run *core.Run) *core.Call {
	now := time.Now()
	return &core.Call{
		RunID: run.ID, Number: 1, Kind: core.CallComplete, RequestHash: make([]byte, 32),
		Request: json.RawMessage(`{"model":"echo"}`), Done: true, Model: "echo",
		Result: json.RawMessage(`{"message":{"role":"assistant","parts":[{"text":"` + text + `"}]}}`),
		Usage:  sdk.Usage{InputTokens: 20, OutputTokens: 50}, StartedAt: now, EndedAt: now,
	}
}

const text = "I can help with planning the day, with writing, with finding out things, and with many " +
	"other tasks that need words. Tell me what is first on your list and we shall begin with that at once, together."

// measure calls op b.N times in the given number of goroutines.
func measure(b *testing.B, goroutines int, op func(i int) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	before := cpu()
	b.ResetTimer()
	for range goroutines {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := op(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func withClients(b *testing.B, prepare func(b *testing.B, x *benchmark) func(i int) error) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			x := open(b)
			measure(b, n, prepare(b, x))
		})
	}
}

func BenchmarkTurn(b *testing.B) {
	withClients(b, func(_ *testing.B, x *benchmark) func(i int) error {
		return func(i int) error {
			run, _, err := x.start(fmt.Sprint("s", i%benchSessions))
			if err != nil {
				return err
			}
			return x.end(run)
		}
	})
}

func BenchmarkNewSession(b *testing.B) {
	withClients(b, func(_ *testing.B, x *benchmark) func(i int) error {
		return func(i int) error {
			run, _, err := x.start(fmt.Sprint("s", i))
			if err != nil {
				return err
			}
			return x.end(run)
		}
	})
}

func BenchmarkRecordCall(b *testing.B) {
	withClients(b, func(b *testing.B, x *benchmark) func(i int) error {
		run, _, err := x.start("s")
		must(b, err)
		return func(i int) error {
			c := x.call(run)
			c.Number = uint64(i)
			return x.RecordCall(x.ctx, run, c, nil)
		}
	})
}

// BenchmarkAppendEvents appends one row to each of 100 runs.
func BenchmarkAppendEvents(b *testing.B) {
	withClients(b, func(b *testing.B, x *benchmark) func(i int) error {
		var ids []string
		for i := range 100 {
			run, _, err := x.start(fmt.Sprint("s", i))
			must(b, err)
			ids = append(ids, run.ID)
		}
		return func(i int) error {
			rows := make([]core.EventRow, len(ids))
			for j, id := range ids {
				rows[j] = core.EventRow{
					RunID: id, First: int64(2 + i*10), Last: int64(11 + i*10), Type: "token",
					Data:      json.RawMessage(`["I"," can"," help"," with"," planning"," the"," day"," and"," other"," things"]`),
					CreatedAt: time.Now(),
				}
			}
			return x.AppendEvents(x.ctx, rows)
		}
	})
}

// BenchmarkHistoryBefore reads 20 of the 200 messages of a session.
func BenchmarkHistoryBefore(b *testing.B) {
	withClients(b, func(b *testing.B, x *benchmark) func(i int) error {
		var last *core.Message
		for range 100 {
			run, in, err := x.start("s")
			must(b, err)
			must(b, x.end(run))
			last = in
		}
		return func(int) error {
			found, _, err := x.HistoryBefore(x.ctx, last.SessionKey, last.ID, 20)
			if err == nil && len(found) != 20 {
				err = fmt.Errorf("got %d messages, want 20", len(found))
			}
			return err
		}
	})
}

// BenchmarkAuthorise reads what every request needs: the login, the user and the agent.
func BenchmarkAuthorise(b *testing.B) {
	withClients(b, func(_ *testing.B, x *benchmark) func(i int) error {
		return func(int) error {
			if _, err := x.Login(x.ctx, x.login.ID); err != nil {
				return err
			}
			if _, err := x.User(x.ctx, x.user.ID); err != nil {
				return err
			}
			_, err := x.Agent(x.ctx, x.actor(), x.agent.ID)
			return err
		}
	})
}
