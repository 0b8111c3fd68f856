package storagetest

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/agentarea/agentarea/core"
)

// tokens returns a batch of token events with the sequence numbers from first to last.
func (f *fixture) tokens(runID string, first, last int64) core.EventRow {
	return core.EventRow{
		RunID: runID, First: first, Last: last, Type: "token",
		Data: json.RawMessage(fmt.Sprintf(`["%d", "…\u00e9"]`, first)), CreatedAt: f.at(int(first)),
	}
}

func testEvent(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	s := f.start(t, f.agent(t, v), v.UserID, "s")
	id := s.Run.ID
	rows := []core.EventRow{
		s.Events[0], f.tokens(id, 2, 10), f.tokens(id, 11, 11), f.tokens(id, 12, 40), f.tokens(id, 41, 1<<60),
	}
	ok(t, f.AppendEvents(f.ctx, []core.EventRow{rows[3], rows[1]}))
	ok(t, f.AppendEvents(f.ctx, []core.EventRow{rows[2], rows[4]}))
	for _, c := range []struct {
		after    int64
		limit    int
		from, to int
	}{
		{0, 10, 0, 5},
		{-1, 10, 0, 5},
		{1, 10, 1, 5},
		{2, 10, 1, 5}, // within the batch
		{9, 10, 1, 5},
		{10, 10, 2, 5},
		{11, 1, 3, 4},
		{39, 10, 3, 5},
		{40, 10, 4, 5},
		{0, 2, 0, 2},
		{0, 0, 0, 0},
		{1 << 60, 10, 5, 5},
	} {
		got, err := f.Events(f.ctx, id, c.after, c.limit)
		ok(t, err)
		same(t, fmt.Sprint("after ", c.after, ", limit ", c.limit), append([]core.EventRow{}, got...), rows[c.from:c.to])
	}
	got, err := f.Events(f.ctx, "run-none", 0, 10)
	ok(t, err)
	same(t, "events of an unknown run", len(got), 0)
}

func testEventAppend(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	one, two, gone := f.start(t, a, v.UserID, "1"), f.start(t, a, v.UserID, "2"), f.start(t, a, v.UserID, "3")
	ok(t, f.EndRun(f.ctx, f.end(gone.Run)))
	ok(t, f.DeleteSession(f.ctx, nil, a.ID, v.UserID, "3"))
	ok(t, f.EndRun(f.ctx, f.end(two.Run))) // late tokens of an ended run are kept

	first := f.tokens(one.Run.ID, 2, 5)
	again := first
	again.Data = json.RawMessage(`["another"]`)
	rows := []core.EventRow{
		first, f.tokens(gone.Run.ID, 2, 5), f.tokens("run-none", 1, 1), again,
		f.tokens(two.Run.ID, 2, 9), f.tokens(one.Run.ID, 6, 7),
	}
	for range 2 {
		ok(t, f.AppendEvents(f.ctx, rows))
		got, err := f.Events(f.ctx, one.Run.ID, 0, 10)
		ok(t, err)
		same(t, "events of run one", got, []core.EventRow{one.Events[0], first, rows[5]})
		got, err = f.Events(f.ctx, two.Run.ID, 0, 10)
		ok(t, err)
		same(t, "events of run two", got, []core.EventRow{two.Events[0], rows[4]})
	}
	for _, id := range []string{gone.Run.ID, "run-none"} {
		got, err := f.Events(f.ctx, id, 0, 10)
		ok(t, err)
		same(t, "events of a deleted run", len(got), 0)
	}
	ok(t, f.AppendEvents(f.ctx, nil))
}

// testEventOwnerWins checks that an event that a former owner appended late does not prevent the new
// owner from ending the run, and that the end event is readable.
func testEventOwnerWins(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	s := f.start(t, f.agent(t, v), v.UserID, "s")
	claimed, err := f.ClaimRuns(f.ctx, "server-2", f.now, 1)
	ok(t, err)
	ok(t, f.AppendEvents(f.ctx, []core.EventRow{f.tokens(s.Run.ID, 2, 2)}))
	e := f.end(claimed[0])
	e.Events = []core.EventRow{event(s.Run.ID, 2, `{"type":"end"}`, f.now)}
	ok(t, f.EndRun(f.ctx, e))
	got, err := f.Events(f.ctx, s.Run.ID, 1, 10)
	ok(t, err)
	same(t, "Events", got, e.Events)
}
