package main

import (
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "mcp-http")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server := httptest.NewServer(plugintest.EchoMCP())
	t.Cleanup(server.Close)
	plugintest.MCP(t, plugintest.Command{
		Path: binary, Config: map[string]any{"allow": []string{"127.0.0.1"}},
		Script: plugintest.Script{Server: map[string]any{"url": server.URL}},
	})
}
