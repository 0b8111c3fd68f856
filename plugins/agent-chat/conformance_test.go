package main

import (
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/testenv"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	binary := testenv.Binary(t, "agent-chat")
	plugintest.Agent(t, plugintest.Command{Path: binary, Script: plugintest.Script{
		AgentConfig: map[string]any{"model": "plugintest", "tools": []string{"plugintest_add"}},
	}})
}
