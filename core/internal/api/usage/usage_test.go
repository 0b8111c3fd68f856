package usage_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/core/internal/api/usage"
	"github.com/agentarea/agentarea/sdk"
)

// store returns rows, and records the filter of the last call.
type store struct {
	rows   []core.UsageRow
	filter core.UsageFilter
	// measured is the user whose storage was measured last.
	measured string
}

func (s *store) Usage(
	_ context.Context, _ core.Actor, f core.UsageFilter,
) ([]core.UsageRow, int, core.UsageRow, error) {
	s.filter = f
	var sum core.UsageRow
	for _, u := range s.rows {
		sum.Completions += u.Completions
		sum.Usage = sum.Add(u.Usage)
	}
	return s.rows, len(s.rows), sum, nil
}

func TestUsage(t *testing.T) {
	t.Parallel()
	env, store := apitest.New(t), &store{}
	usage.Register(env.API, store, usage.Limits{})
	day := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	store.rows = []core.UsageRow{
		{Day: day, Model: "p/m", Completions: 2, Usage: sdk.Usage{InputTokens: 5, OutputTokens: 7}},
	}
	got := env.Do(t, "ann", "GET", "/v1/usage?from=2026-11-01&to=2026-11-03&by=day,model&agent_id=agent-1&limit=5",
		"").Want(200).Body.String()
	want := `{"usage":[{"day":"2026-11-02","model":"p/m","completions":2,"input_tokens":5,"output_tokens":7,"cached_input_tokens":0,"reasoning_tokens":0}],` +
		`"sum":{"completions":2,"input_tokens":5,"output_tokens":7,"cached_input_tokens":0,"reasoning_tokens":0},"total":1,"limit":5,"offset":0}`
	if strings.TrimSpace(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	f := store.filter
	if !f.From.Equal(day.AddDate(0, 0, -1)) || !f.To.Equal(day.AddDate(0, 0, 1)) || len(f.By) != 2 ||
		f.AgentID != "agent-1" {
		t.Errorf("got filter %+v, want yesterday to tomorrow, two keys and agent-1", f)
	}
	env.Do(t, "ann", "GET", "/v1/usage", "").Want(200)
	if f := store.filter; f.To.Sub(f.From) != 29*24*time.Hour || time.Since(f.To) > 25*time.Hour {
		t.Errorf("got default filter %+v, want the last 30 days", f)
	}
	env.Do(t, "ann", "GET", "/v1/usage?from=2026-11-01T23:30:00-01:00&to=2026-11-03T12:00:00Z", "").Want(200)
	if f := store.filter; !f.From.Equal(day) || !f.To.Equal(day.AddDate(0, 0, 1)) {
		t.Errorf("got filter %+v for times, want their days", f)
	}
	for query, field := range map[string]string{
		"from=yesterday": "from", "to=2026-13-01": "to", "from=2026-11-02&to=2026-11-01": "from", "from=2020-01-01": "from",
		"by=hour": "by", "by=day,day": "by", "to=2026-11-02T12:00": "to", "limit=0": "limit",
	} {
		if f := env.Do(t, "ann", "GET", "/v1/usage?"+query, "").Want(400).Failure(); f.Details.Field != field {
			t.Errorf("%s: got %+v, want field %q", query, f, field)
		}
	}
	env.Do(t, "", "GET", "/v1/usage", "").Want(401)
}
