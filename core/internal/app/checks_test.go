package app

import (
	"testing"

	"github.com/agentarea/agentarea/core"
)

func TestCheckPlugins(t *testing.T) {
	t.Parallel()
	running := core.Plugin{Kind: "llm", Label: "echo", State: core.PluginRunning, LastError: "exit status 2"}
	disabled := core.Plugin{Kind: "llm", Label: "openai", State: core.PluginDisabled}
	if err := checkPlugins([]core.Plugin{running, disabled}); err != nil {
		t.Errorf("checkPlugins = %v, want nil for running and disabled plugins", err)
	}
	sick := core.Plugin{
		Kind: "files", Label: "s3", State: core.PluginRunning, Unhealthy: true, LastError: "unhealthy: 10.0.0.1 refused",
	}
	failed := core.Plugin{Kind: "agent", Label: "chat", State: core.PluginFailed, LastError: "exit status 2"}
	const want = "files s3 is unhealthy, agent chat is failed"
	if err := checkPlugins([]core.Plugin{running, sick, failed}); err == nil ||
		err.Error() != "SERVICE_UNAVAILABLE: "+want {
		t.Errorf("checkPlugins = %v, want %s", err, want)
	}
}
