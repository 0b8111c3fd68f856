package storagetest

import (
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

func testUsage(t *testing.T, f *fixture) {
	ada, bob := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	a := f.agent(t, ada, shared)
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	asked := func(v core.Actor, session, model string, at time.Time, input int64) {
		t.Helper()
		s := f.start(t, a, v.UserID, session)
		call := func(number uint64) *core.Call {
			return &core.Call{
				RunID: s.Run.ID, Number: number, Kind: core.CallComplete, RequestHash: []byte{1}, Done: true, ModelID: model,
				Usage:     sdk.Usage{InputTokens: input, OutputTokens: 2, CachedInputTokens: 3, ReasoningTokens: 1},
				StartedAt: f.now, EndedAt: at,
			}
		}
		ok(t, f.RecordCall(f.ctx, s.Run, call(1), nil))
		ok(t,
			f.RecordCall(f.ctx, s.Run,
				&core.Call{RunID: s.Run.ID, Number: 2, Kind: core.CallTool, Done: true, StartedAt: f.now, EndedAt: at}, nil))
		end := f.end(s.Run)
		end.Call = call(3)
		ok(t, f.EndRun(f.ctx, end))
	}
	asked(ada, "s1", "p/m", day.Add(time.Hour), 10)
	asked(ada, "s2", "p/n", day.Add(25*time.Hour), 100)
	asked(bob, "s3", "p/m", day.Add(24*time.Hour-time.Microsecond), 1000)

	used := func(u core.UsageRow, completions, input int64) core.UsageRow {
		u.Completions = completions
		u.Usage = sdk.Usage{
			InputTokens: input, OutputTokens: 2 * completions, CachedInputTokens: 3 * completions, ReasoningTokens: completions,
		}
		return u
	}
	all := core.UsageFilter{From: day, To: day.AddDate(0, 0, 1), Page: core.Page{Limit: 10}}
	next := day.AddDate(0, 0, 1)
	for _, c := range []struct {
		name   string
		actor  core.Actor
		change func(*core.UsageFilter)
		want   []core.UsageRow
		total  int
		sum    core.UsageRow
	}{
		{"all", admin, func(*core.UsageFilter) {}, []core.UsageRow{used(core.UsageRow{}, 6, 2220)}, 1, used(core.UsageRow{}, 6, 2220)},
		{"own", ada, func(*core.UsageFilter) {}, []core.UsageRow{used(core.UsageRow{}, 4, 220)}, 1, used(core.UsageRow{}, 4, 220)},
		{"another's", ada, func(f *core.UsageFilter) { f.UserID = bob.UserID }, []core.UsageRow{{}}, 1, core.UsageRow{}},
		{
			"by day", admin, func(f *core.UsageFilter) { f.By = []core.UsageKey{core.UsageByDay} },
			[]core.UsageRow{used(core.UsageRow{Day: next}, 2, 200), used(core.UsageRow{Day: day}, 4, 2020)},
			2, used(core.UsageRow{}, 6, 2220),
		},
		{
			"a day", admin, func(f *core.UsageFilter) { f.From, f.By = next, []core.UsageKey{core.UsageByDay} },
			[]core.UsageRow{used(core.UsageRow{Day: next}, 2, 200)},
			1, used(core.UsageRow{}, 2, 200),
		},
		{
			"by model and agent", admin,
			func(f *core.UsageFilter) { f.By = []core.UsageKey{core.UsageByModel, core.UsageByAgent} },
			[]core.UsageRow{
				used(core.UsageRow{Model: "p/m", AgentID: a.ID}, 4, 2020), used(core.UsageRow{Model: "p/n", AgentID: a.ID}, 2, 200),
			},
			2, used(core.UsageRow{}, 6, 2220),
		},
		{
			"a page", admin, func(f *core.UsageFilter) { f.By, f.Limit, f.Offset = []core.UsageKey{core.UsageByModel}, 1, 1 },
			[]core.UsageRow{used(core.UsageRow{Model: "p/n"}, 2, 200)},
			2, used(core.UsageRow{}, 6, 2220),
		},
		{"a model", admin, func(f *core.UsageFilter) { f.Model = "p/n" }, []core.UsageRow{used(core.UsageRow{}, 2, 200)}, 1, used(core.UsageRow{}, 2, 200)},
		{"no agent", admin, func(f *core.UsageFilter) { f.AgentID, f.By = "agent-none", []core.UsageKey{core.UsageByDay} }, []core.UsageRow{}, 0, core.UsageRow{}},
	} {
		filter := all
		c.change(&filter)
		rows, total, sum, err := f.Usage(f.ctx, c.actor, filter)
		ok(t, err)
		same(t, c.name, rows, c.want)
		same(t, c.name+": total", total, c.total)
		same(t, c.name+": sum", sum, c.sum)
	}
	// Usage is kept when the agent is deleted.
	ok(t, f.DeleteAgent(f.ctx, nil, admin, a.ID, core.AgentDeletion{}))
	_, _, sum, err := f.Usage(f.ctx, admin, all)
	ok(t, err)
	same(t, "after the agent was deleted", sum, used(core.UsageRow{}, 6, 2220))
}
