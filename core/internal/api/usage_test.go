package api

import (
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	day := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	b.used = []core.UsageRow{{Day: day, Model: "p/m", Completions: 2, Usage: sdk.Usage{InputTokens: 5, OutputTokens: 7}}}
	got := b.do(t, "ann", "GET", "/v1/usage?from=2026-11-01&to=2026-11-03&by=day,model&agent_id=agent-1&limit=5", "").want(200).Body.String()
	want := `{"usage":[{"day":"2026-11-02","model":"p/m","completions":2,"input_tokens":5,"output_tokens":7,"cached_input_tokens":0,"reasoning_tokens":0}],` +
		`"sum":{"completions":2,"input_tokens":5,"output_tokens":7,"cached_input_tokens":0,"reasoning_tokens":0},"total":1,"limit":5,"offset":0}`
	if strings.TrimSpace(got) != want {
		t.Errorf("got %s", got)
	}
	f := b.usageFilter
	if !f.From.Equal(day.AddDate(0, 0, -1)) || !f.To.Equal(day.AddDate(0, 0, 1)) || len(f.By) != 2 || f.AgentID != "agent-1" {
		t.Errorf("the filter is %+v", f)
	}
	b.do(t, "ann", "GET", "/v1/usage", "").want(200)
	if f := b.usageFilter; f.To.Sub(f.From) != 29*24*time.Hour || time.Since(f.To) > 25*time.Hour {
		t.Errorf("the filter of no days is %+v", f)
	}
	for query, field := range map[string]string{
		"from=yesterday": "from", "to=2026-13-01": "to", "from=2026-11-02&to=2026-11-01": "from", "from=2020-01-01": "from",
		"by=hour": "by", "by=day,day": "by", "limit=0": "limit",
	} {
		if f := b.do(t, "ann", "GET", "/v1/usage?"+query, "").want(400).failure(); f.Details.Field != field {
			t.Errorf("%s: %+v", query, f)
		}
	}
	b.do(t, "", "GET", "/v1/usage", "").want(401)
}
