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

// fakeModel criticizes the first draft and accepts the second one.
type fakeModel struct {
	agent.Host
	prompts []string
}

func (m *fakeModel) Complete(_ context.Context, req *agent.Completion) (*agent.Answer, error) {
	last := req.Messages[len(req.Messages)-1].Text()
	m.prompts = append(m.prompts, last)
	reply := fmt.Sprint("draft ", len(m.prompts))
	if strings.HasPrefix(last, "Briefly list") {
		reply = "too short"
		if len(m.prompts) > 2 {
			reply = noFault
		}
	}
	return &agent.Answer{Message: sdk.Text(sdk.RoleAssistant, reply)}, nil
}

func TestRewritesUntilNoFault(t *testing.T) {
	t.Parallel()
	m := &fakeModel{}
	answer, err := critic{}.Run(t.Context(),
		&agent.Run{Config: []byte(`{"model":"m","rounds":5}`), Input: sdk.Text(sdk.RoleUser, "Why?")}, m)
	if err != nil || answer.Text() != "draft 3" || len(m.prompts) != 4 ||
		!strings.HasSuffix(m.prompts[2], "fix this: too short") {
		t.Errorf("Run() = %v, %v after the prompts %q, want draft 3 after 4", answer, err, m.prompts)
	}
}
