package storagetest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

func testRun(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	s := f.turn(a, v.UserID, "s")
	s.Run.Config = json.RawMessage(`{"big":9007199254740993}`)
	s.Run.Seed, s.Run.Stream, s.Run.Model = math.MaxUint64, true, "first"
	s.Run.AgentOwner, s.Run.MCPServers = a.CreatedBy, []core.MCPServerRef{{Slug: "search", ID: "server-1"}}
	s.Run.CreatedAt = f.now.Add(3)
	ok(t, f.StartRun(f.ctx, nil, s))
	want := *s.Run
	want.CreatedAt = f.now
	got, err := f.Run(f.ctx, v, s.Run.ID)
	ok(t, err)
	same(t, "Run", got, &want)
	events, err := f.Events(f.ctx, s.Run.ID, 0, 10)
	ok(t, err)
	same(t, "Events", events, s.Events)

	wantCode(t, f.StartRun(f.ctx, nil, s), core.CodeConflict) // a second call with the same ids
	_, err = f.Run(f.ctx, v, "run-none")
	wantCode(t, err, core.CodeNotFound)
	none := f.turn(&core.Agent{ID: "agent-none"}, v.UserID, "s")
	wantCode(t, f.StartRun(f.ctx, nil, none), core.CodeNotFound)
	same(t, "SessionKey after a failure", none.Run.SessionKey+none.Input.SessionKey, "")
}

func testRunVisibility(t *testing.T, f *fixture) {
	owner, guest := f.user(t, "owner", core.RoleMember), f.user(t, "guest", core.RoleMember)
	a := f.agent(t, owner, shared)
	s := f.start(t, a, guest.UserID, "s")
	for _, c := range []struct {
		name  string
		actor core.Actor
		seen  bool
	}{
		{"own", guest, true},
		{"the agent's owner", owner, false},
		{"a viewer's", core.Actor{UserID: "user-x", Role: core.RoleViewer}, false},
		{"nobody", core.Actor{}, false},
		{"admin", admin, true},
	} {
		check := func(run *core.Run, err error) {
			t.Helper()
			if !c.seen {
				if core.CodeOf(err) != core.CodeNotFound || run != nil {
					t.Errorf("%s: Run = %v, %v, want NotFound", c.name, run, err)
				}
				return
			}
			ok(t, err)
			same(t, c.name, run.ID, s.Run.ID)
		}
		check(f.Run(f.ctx, c.actor, s.Run.ID))
		run, err := f.RequestCancel(f.ctx, nil, c.actor, s.Run.ID)
		check(run, err)
		if !c.seen {
			continue
		}
		same(t, "CancelRequested", run.CancelRequested, true)
	}
}

func testRunOneTurn(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	first := f.start(t, a, v.UserID, "s")
	second := f.turn(a, v.UserID, "s")
	wantCode(t, f.StartRun(f.ctx, nil, second), core.CodeConflict)
	same(t, "SessionKey after a failure", second.Run.SessionKey+second.Input.SessionKey, "")
	f.start(t, a, v.UserID, "another") // another session is independent

	waiting := f.turn(a, v.UserID, "waiting")
	waiting.Run.Status = core.RunWaitingApproval
	ok(t, f.StartRun(f.ctx, nil, waiting))
	wantCode(t, f.StartRun(f.ctx, nil, f.turn(a, v.UserID, "waiting")), core.CodeConflict)

	ok(t, f.EndRun(f.ctx, f.end(first.Run)))
	ok(t, f.StartRun(f.ctx, nil, second))
	same(t, "SessionKey", second.Run.SessionKey, first.Run.SessionKey)
	for _, status := range []core.RunStatus{core.RunFailed, core.RunCancelled, core.RunInterrupted} {
		e := f.end(second.Run)
		e.Run.Status, e.Answer = status, nil
		ok(t, f.EndRun(f.ctx, e))
		second = f.start(t, a, v.UserID, "s")
	}
}

func testRunOneOfManyTurns(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	for round := range 5 {
		var won atomic.Pointer[core.RunStart]
		var wins atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				s := f.turn(a, v.UserID, "s")
				switch err := f.StartRun(f.ctx, nil, s); {
				case err == nil:
					wins.Add(1)
					won.Store(&s)
				case core.CodeOf(err) != core.CodeConflict:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		same(t, "winners of 20", wins.Load(), int32(1))
		same(t, "messages", f.sessions(t, a, v.UserID)[0].Messages, 2*round+1)
		ok(t, f.EndRun(f.ctx, f.end(won.Load().Run)))
	}
	got, _, err := f.Messages(f.ctx, core.MessageFilter{AgentID: a.ID, UserID: v.UserID, Limit: 100})
	ok(t, err)
	same(t, "messages", len(got), 10)
}

// testRunStartUndone checks that a failed start stores nothing, not even the session.
func testRunStartUndone(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	first := f.start(t, a, v.UserID, "s")
	s := f.turn(a, v.UserID, "new")
	s.Input.ID = first.Input.ID
	wantCode(t, f.StartRun(f.ctx, nil, s), core.CodeConflict)
	same(t, "sessions", len(f.sessions(t, a, v.UserID)), 1)
	_, err := f.Run(f.ctx, v, s.Run.ID)
	wantCode(t, err, core.CodeNotFound)
	wantCode(t, f.StartRun(f.ctx, nil, f.turn(a, v.UserID, "s")), core.CodeConflict)
	same(t, "messages", f.sessions(t, a, v.UserID)[0].Messages, 1)
}

func testRunEnd(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	s := f.start(t, a, v.UserID, "s")
	e := f.end(s.Run)
	e.Run.Usage = sdk.Usage{InputTokens: 1 << 60, OutputTokens: 2, CachedInputTokens: 3, ReasoningTokens: 4}
	e.Run.Model = "echo-2"
	e.Answer.Metadata = json.RawMessage(`{"tokens_used":9007199254740993}`)
	e.Call = &core.Call{
		RunID: s.Run.ID, Number: 1, Kind: core.CallComplete, RequestHash: []byte{1}, Done: true,
		Result: json.RawMessage(`{}`), StartedAt: f.now, EndedAt: f.at(1),
	}
	e.Events = []core.EventRow{event(s.Run.ID, 2, `{"type":"end"}`, f.at(3))}
	// EndRun must ignore these fields.
	e.Run.Config, e.Run.Seed, e.Run.CreatedAt, e.Run.UserID = nil, 99, f.at(99), "user-x"
	ok(t, f.EndRun(f.ctx, e))

	want := *e.Run
	want.Config, want.Seed, want.CreatedAt, want.UserID = s.Run.Config, s.Run.Seed, s.Run.CreatedAt, s.Run.UserID
	got, err := f.Run(f.ctx, v, s.Run.ID)
	ok(t, err)
	same(t, "Run", got, &want)
	answer, err := f.Message(f.ctx, e.Answer.ID)
	ok(t, err)
	answer.Position = 0 // e.Answer has none
	same(t, "answer", answer, e.Answer)
	same(t, "SessionKey", answer.SessionKey, s.Run.SessionKey)
	calls, err := f.Calls(f.ctx, s.Run.ID)
	ok(t, err)
	same(t, "Calls", calls, []*core.Call{e.Call})
	events, err := f.Events(f.ctx, s.Run.ID, 1, 10)
	ok(t, err)
	same(t, "Events", events, e.Events)

	// A second end is a conflict.
	again := f.end(s.Run)
	again.Run.Status = core.RunFailed
	wantCode(t, f.EndRun(f.ctx, again), core.CodeConflict)
	_, err = f.Message(f.ctx, again.Answer.ID)
	wantCode(t, err, core.CodeNotFound)
	same(t, "messages", f.sessions(t, a, v.UserID)[0].Messages, 2)
}

func testRunEndFailed(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	s := f.start(t, a, v.UserID, "s")
	e := f.end(s.Run)
	e.Answer, e.Run.AnswerID, e.Run.Status = nil, "", core.RunFailed
	e.Run.Error = &sdk.Error{
		Code: sdk.CodeRateLimited, Message: "später", Retryable: true, RetryAfter: 3 * time.Second, ProviderStatus: 429,
	}
	ok(t, f.EndRun(f.ctx, e))
	got, err := f.Run(f.ctx, v, s.Run.ID)
	ok(t, err)
	same(t, "Run", got, e.Run)
	same(t, "messages", f.sessions(t, a, v.UserID)[0].Messages, 1)

	// A status that is not final is rejected, and the run stays active.
	next := f.start(t, a, v.UserID, "s")
	e = f.end(next.Run)
	e.Run.Status = core.RunWaitingApproval
	if f.EndRun(f.ctx, e) == nil {
		t.Fatal("EndRun with a status that is not final succeeded")
	}
	ok(t, f.EndRun(f.ctx, f.end(next.Run)))
}

func testRunFence(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	s := f.start(t, a, v.UserID, "s")
	ended := f.start(t, a, v.UserID, "ended")
	ok(t, f.EndRun(f.ctx, f.end(ended.Run)))
	for name, change := range map[string]func(*core.Run){
		"other owner":     func(r *core.Run) { r.Owner = "server-2" },
		"earlier attempt": func(r *core.Run) { r.Attempt = 0 },
		"later attempt":   func(r *core.Run) { r.Attempt = 2 },
		"ended":           func(r *core.Run) { *r = *ended.Run },
		"gone":            func(r *core.Run) { r.ID = "run-none" },
	} {
		run := *s.Run
		change(&run)
		before := run
		rows := []core.EventRow{event(run.ID, 7, `{}`, f.now)}
		c := &core.Call{RunID: run.ID, Number: 1, Kind: core.CallTool, RequestHash: []byte{1}}
		e := f.end(&run)
		e.Events, e.Call = rows, c
		for what, err := range map[string]error{
			"RecordCall": f.RecordCall(f.ctx, &run, c, rows),
			"RetryRun":   f.RetryRun(f.ctx, &run, rows),
			"EndRun":     f.EndRun(f.ctx, e),
		} {
			if core.CodeOf(err) != core.CodeConflict {
				t.Errorf("%s, %s: got %v, want a conflict", name, what, err)
			}
		}
		same(t, name+": the run passed", run, before)
		calls, err := f.Calls(f.ctx, run.ID)
		ok(t, err)
		same(t, name+": calls", len(calls), 0)
		events, err := f.Events(f.ctx, run.ID, 6, 10)
		ok(t, err)
		same(t, name+": events", len(events), 0)
		_, err = f.Message(f.ctx, e.Answer.ID)
		wantCode(t, err, core.CodeNotFound)
	}
	got, err := f.Run(f.ctx, v, s.Run.ID)
	ok(t, err)
	same(t, "Run", got, s.Run)
}

func testRunRetry(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	s := f.start(t, a, v.UserID, "s")
	first := *s.Run
	restart := []core.EventRow{event(s.Run.ID, 2, `{"type":"restart"}`, f.now)}
	ok(t, f.RetryRun(f.ctx, s.Run, restart))
	same(t, "increased Attempt", s.Run.Attempt, 2)
	got, err := f.Run(f.ctx, v, s.Run.ID)
	ok(t, err)
	same(t, "Run", got, s.Run)
	events, err := f.Events(f.ctx, s.Run.ID, 1, 10)
	ok(t, err)
	same(t, "Events", events, restart)

	wantCode(t, f.EndRun(f.ctx, f.end(&first)), core.CodeConflict)
	ok(t, f.EndRun(f.ctx, f.end(s.Run)))
}

func testRunCancel(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	s, other, ended := f.start(t, a, v.UserID, "s"), f.start(t, a, v.UserID, "other"), f.start(t, a, v.UserID, "ended")
	run, err := f.RequestCancel(f.ctx, nil, v, s.Run.ID)
	ok(t, err)
	want := *s.Run
	want.CancelRequested = true
	same(t, "RequestCancel", run, &want)

	_, err = f.RequestCancel(f.ctx, nil, v, ended.Run.ID)
	ok(t, err)
	e := f.end(ended.Run)
	e.Run.Status = core.RunCancelled
	ok(t, f.EndRun(f.ctx, e))
	ids, err := f.CancelRequests(f.ctx, "server-1")
	ok(t, err)
	same(t, "CancelRequests", ids, []string{s.Run.ID})
	ids, err = f.CancelRequests(f.ctx, "server-2")
	ok(t, err)
	same(t, "CancelRequests of another", len(ids), 0)
	ids, err = f.ActiveRuns(f.ctx, "server-1")
	ok(t, err)
	slices.Sort(ids)
	active := []string{s.Run.ID, other.Run.ID}
	slices.Sort(active)
	same(t, "ActiveRuns", ids, active)

	// A run that has ended is returned unchanged.
	ok(t, f.EndRun(f.ctx, f.end(other.Run)))
	run, err = f.RequestCancel(f.ctx, nil, v, other.Run.ID)
	ok(t, err)
	same(t, "an ended run", []any{run.Status, run.CancelRequested}, []any{core.RunCompleted, false})
	_, err = f.RequestCancel(f.ctx, nil, v, "run-none")
	wantCode(t, err, core.CodeNotFound)
}

func testRunClaim(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	by := func(owner string) *core.Run {
		s := f.turn(a, v.UserID, "of "+owner)
		s.Run.Owner = owner
		ok(t, f.StartRun(f.ctx, nil, s))
		return s.Run
	}
	mine, lost, live := by("me"), by("lost"), by("live")
	late, left := by("late"), by("left")
	waiting := f.turn(a, v.UserID, "waiting")
	waiting.Run.Owner, waiting.Run.Status, waiting.Run.CreatedAt = "lost", core.RunWaitingApproval, f.at(1)
	ok(t, f.StartRun(f.ctx, nil, waiting))
	ended := by("also lost")
	ok(t, f.EndRun(f.ctx, f.end(ended)))

	ok(t, f.RenewLease(f.ctx, "late", f.at(-5)))
	ok(t, f.RenewLease(f.ctx, "late", f.now)) // a lease until now has expired
	ok(t, f.RenewLease(f.ctx, "live", f.at(-5)))
	ok(t, f.RenewLease(f.ctx, "live", f.at(1)))
	ok(t, f.RenewLease(f.ctx, "left", f.at(1000)))
	ok(t, f.ReleaseLease(f.ctx, "left"))
	ok(t, f.ReleaseLease(f.ctx, "nobody"))

	claimed, err := f.ClaimRuns(f.ctx, "me", f.now, 10)
	ok(t, err)
	got := map[string]*core.Run{}
	for _, r := range claimed {
		got[r.ID] = r
	}
	same(t, "claimed", len(claimed), 4)
	for _, r := range []*core.Run{lost, late, left, waiting.Run} {
		want := *r
		want.Owner = "me" // RetryRun increases the attempt
		same(t, r.SessionID, got[r.ID], &want)
		stored, err := f.Run(f.ctx, v, r.ID)
		ok(t, err)
		same(t, r.SessionID+" stored", stored, &want)
		wantCode(t, f.EndRun(f.ctx, f.end(r)), core.CodeConflict)
		ok(t, f.EndRun(f.ctx, f.end(got[r.ID])))
	}
	for _, r := range []*core.Run{mine, live} {
		ok(t, f.EndRun(f.ctx, f.end(r)))
	}

	// The active lease was not deleted.
	live = by("live")
	claimed, err = f.ClaimRuns(f.ctx, "me", f.now, 10)
	ok(t, err)
	same(t, "claimed again", len(claimed), 0)
	claimed, err = f.ClaimRuns(f.ctx, "me", f.at(1), 10)
	ok(t, err)
	same(t, "claimed after the lease expired", claimed[0].ID, live.ID)
}

func testRunClaimLimit(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	var want []string // the oldest first
	for i := range 5 {
		s := f.turn(a, v.UserID, fmt.Sprint(i))
		s.Run.CreatedAt = f.at(-i)
		ok(t, f.StartRun(f.ctx, nil, s))
		want = append([]string{s.Run.ID}, want...)
	}
	var got []string
	for _, n := range []int{0, 2, 2, 1, 0} {
		limit := 2
		if len(got) == 0 && n == 0 {
			limit = 0
		}
		claimed, err := f.ClaimRuns(f.ctx, "server-2", f.now, limit)
		ok(t, err)
		same(t, "claimed", len(claimed), n)
		for _, r := range claimed {
			got = append(got, r.ID)
		}
	}
	same(t, "claimed", got, want)
}

func testRunClaimAtOnce(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	for i := range 30 {
		f.start(t, a, v.UserID, fmt.Sprint(i))
	}
	var mu sync.Mutex
	owners := map[string]string{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			owner := fmt.Sprint("claimer-", i)
			if err := f.RenewLease(f.ctx, owner, f.at(1000)); err != nil {
				t.Error(err)
			}
			for {
				claimed, err := f.ClaimRuns(f.ctx, owner, f.now, 3)
				if err != nil {
					t.Error(err)
				}
				if len(claimed) == 0 {
					return
				}
				mu.Lock()
				for _, r := range claimed {
					if was := owners[r.ID]; was != "" {
						t.Errorf("run %s was claimed by %s and %s", r.ID, was, owner)
					}
					owners[r.ID] = owner
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	same(t, "claimed", len(owners), 30)
	for id, owner := range owners {
		r, err := f.Run(f.ctx, admin, id)
		ok(t, err)
		same(t, "owner", r.Owner, owner)
	}
}
