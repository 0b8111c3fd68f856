package main

import (
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/testenv"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	binary := testenv.Binary(t, "llm-echo")
	plugintest.LLM(t, plugintest.Command{Path: binary, Script: plugintest.Script{
		ToolPrompt:         `/tool plugintest_add {"a":2,"b":3}`,
		ParallelToolPrompt: `/tool plugintest_add {"a":2,"b":3} /tool plugintest_add {"a":4,"b":5}`,
		LimitedPrompt:      "/error rate_limited", SlowPrompt: "/tokens 100 /delay 100ms",
	}})
}
