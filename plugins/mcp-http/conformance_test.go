package main

import (
	"net/http/httptest"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/testenv"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	binary := testenv.Binary(t, "mcp-http")
	server := httptest.NewServer(plugintest.EchoMCP())
	t.Cleanup(server.Close)
	plugintest.MCP(t, plugintest.Command{
		Path: binary, Config: map[string]any{"allow": []string{"127.0.0.1"}},
		Script: plugintest.Script{Server: map[string]any{"url": server.URL}},
	})
}
