package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/plugintest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "agent-critic")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	plugintest.Agent(t, plugintest.Command{Path: binary})
}

// model answers the first draft, and is satisfied with the second.
type model struct {
	agent.Host
	asked []string
}

func (m *model) Complete(_ context.Context, req *agent.Completion) (*agent.Answer, error) {
	last := req.Messages[len(req.Messages)-1].Text()
	m.asked = append(m.asked, last)
	reply := fmt.Sprint("draft ", len(m.asked))
	if strings.HasPrefix(last, "Find") {
		reply = "too short"
		if len(m.asked) > 2 {
			reply = satisfied
		}
	}
	return &agent.Answer{Message: sdk.Text(sdk.RoleAssistant, reply)}, nil
}

func TestDraftsUntilSatisfied(t *testing.T) {
	t.Parallel()
	m := &model{}
	answer, err := critic{}.Run(t.Context(), &agent.Run{Config: []byte(`{"model":"m","rounds":5}`), Input: sdk.Text(sdk.RoleUser, "Why?")}, m)
	if err != nil || answer.Text() != "draft 3" || len(m.asked) != 4 || !strings.HasSuffix(m.asked[2], "mend this: too short") {
		t.Errorf("got %v, %v after %q", answer, err, m.asked)
	}
}
