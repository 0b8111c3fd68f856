package pluginhost

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// mcpBlock returns the block of an mcp plugin with the label a.
func mcpBlock(lines ...string) string {
	return fmt.Sprintf("plugin \"mcp\" \"a\" {\n  command = \"badplugin\"\n  env = { BAD = \"mcp\" }\n  %s\n}",
		strings.Join(lines, "\n  "))
}

func (h *testHost) connect(t *testing.T, transport mcptransport.Transport) mcptransport.Conn {
	t.Helper()
	c, err := transport.Connect(t.Context(), mcptransport.Open{Slug: "x", Config: json.RawMessage(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func wantMirrored(t *testing.T, c mcptransport.Conn) {
	t.Helper()
	if err := c.Send(t.Context(), []byte(`{"id":1}`)); err != nil {
		t.Fatal(err)
	}
	if f, err := c.Receive(t.Context()); err != nil || string(f.Message) != `{"id":1}` {
		t.Errorf("Receive = %s, %v, want the message", f.Message, err)
	}
}

func TestMCPTransport(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, mcpBlock())
	transport, err := h.MCPTransport(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	c := h.connect(t, transport)
	wantMirrored(t, c)
	_ = c.Close()
	var exit *mcptransport.Exit
	for range 2 {
		if _, err := c.Receive(t.Context()); !errors.As(err, &exit) || exit.Message != "closed" {
			t.Errorf("Receive after Close: got error %v, want closed", err)
		}
	}
	var bad *sdk.ConfigError
	if err := transport.CheckConfig(t.Context(), json.RawMessage(`{}`)); !errors.As(err, &bad) ||
		bad.Path[0] != "command" {
		t.Errorf("CheckConfig: got error %v, want a problem with command", err)
	}
	_, err = transport.Connect(t.Context(), mcptransport.Open{Slug: "none"})
	if e := sdk.AsError(err); e.Code != sdk.CodeUnavailable || e.Message != "nobody there" {
		t.Errorf("Connect: got error %v, want nobody there", err)
	}
	var none *core.Error
	if _, err := h.MCPTransport(t.Context(), "b"); !errors.As(err, &none) || none.Code != core.CodeUnavailable ||
		none.Message != `MCP transport plugin "b" is not in plugins.hcl. Available transports: a. Add its block and reload plugins, or change the server's transport.` {
		t.Errorf("MCPTransport of an unknown label: got error %v, want the available ones", err)
	}
}

func TestMCPTransport_crash(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, mcpBlock())
	transport, err := h.MCPTransport(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	c := h.connect(t, transport)
	if err := syscall.Kill(h.plugin(t, "a").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_, err = c.Receive(t.Context())
	var exit *mcptransport.Exit
	if !errors.As(err, &exit) || exit.Code != -1 || exit.Message != `plugin mcp/a crashed` {
		t.Errorf("Receive after a crash: got error %v, want the plugin and its exit", err)
	}
	// A value that was looked up before the crash uses the next process.
	wantMirrored(t, h.connect(t, transport))
}

func TestMCPTransport_reload(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, mcpBlock())
	transport, err := h.MCPTransport(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	old := h.connect(t, transport)
	h.write(t, mcpBlock(`args = ["-v"]`))
	if r := h.reload(t); len(r.Replaced) != 1 {
		t.Fatalf("reload = %+v, want one replaced plugin", r)
	}
	wantMirrored(t, old)
	wantMirrored(t, h.connect(t, transport))
}
