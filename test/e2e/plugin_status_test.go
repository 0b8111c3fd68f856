package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// The API and the metrics report the state of plugins.
func TestPluginStatus(t *testing.T) {
	t.Parallel()
	s := start(t, reloadPlugins(0, ""))
	c := s.signIn()
	before := c.plugin("llm", "echo")
	if before.State != "running" || before.Generation != 1 || before.Memory < 1<<20 || before.Restarts != 0 {
		t.Errorf("got plugin %+v, want running", before)
	}
	kill(t, before.PID)
	eventually(t, "the restart of llm-echo", func() bool {
		p := c.plugin("llm", "echo")
		return p.State == "running" && p.PID != before.PID && p.Restarts == 1
	})
	metrics := string(s.anonymous().get("/metrics").want(t, 200).body)
	for _, line := range []string{
		`agentarea_plugin_up{kind="llm",label="echo"} 1`, `agentarea_plugin_restarts_total{kind="llm",label="echo"} 1`,
		`agentarea_plugin_generation{kind="agent",label="chat"} 1`,
		`agentarea_plugin_state{kind="llm",label="echo",state="running"} 1`, "go_goroutines ",
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics do not contain %s:\n%s", line, metrics)
		}
	}

	s.writePlugins(reloadPlugins(1, ""))
	r := c.post("/v1/plugins/reload?dry_run=true", nil).want(t, 200)
	if plan := decode[reloaded](t, r); plan.Generation != 2 || len(plan.Replaced) != 1 ||
		c.plugin("llm", "echo").Generation != 1 {
		t.Errorf("got plan %+v, want one replaced plugin", plan)
	}
}

// Usage is grouped by the keys in the query, and each user sees their own.
func TestUsage(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.newMember()
	agent := c.newAgent("echo/echo")
	for n := range 3 {
		c.post("/v1/agents/"+agent+"/chat", object{"message": fmt.Sprint("Hello number ", n)}).want(t, 200)
	}
	type row struct {
		Day, Model   string
		AgentID      string `json:"agent_id"`
		Completions  int
		InputTokens  int `json:"input_tokens"`
		OutputTokens int `json:"output_tokens"`
	}
	type list struct {
		Usage []row
		Sum   row
		Total int
	}
	got := decode[list](t, c.get("/v1/usage?by=agent,model").want(t, 200))
	if got.Total != 1 || len(got.Usage) != 1 || got.Usage[0].Model != "echo/echo" || got.Usage[0].AgentID != agent ||
		got.Usage[0].Completions != 3 || got.Usage[0].InputTokens < 3 || got.Usage[0].OutputTokens < 3 {
		t.Errorf("got usage %+v, want 3 completions of the agent", got)
	}
	ann := s.newMember()
	if got := decode[list](t, ann.get("/v1/usage").want(t, 200)); got.Total != 0 || got.Sum.Completions != 0 {
		t.Errorf("another user sees %+v, want nothing", got)
	}
}
