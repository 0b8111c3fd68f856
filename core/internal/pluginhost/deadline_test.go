package pluginhost

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// TestCallsHaveDeadlines has a row for each call that the plugin ends. Describe, ConfigSchema, Configure and Schema
// are limited by Timing.Start, Health by Timing.HealthTimeout, Stop by Timing.Stop, and Chat and Run by the timeout
// of the run. Get and Put have no limit of their own, because package files ends them when no bytes arrive.
func TestCallsHaveDeadlines(t *testing.T) {
	t.Parallel()
	timing := testTiming
	timing.HealthEvery = time.Hour // so that no health check ends the calls
	timing.Call, timing.Connect = 300*time.Millisecond, 400*time.Millisecond
	h := start(t, timing, block("a", ""), mcpBlock(), `plugin "files" "a" {
  command = "badplugin"
  env     = { BAD = "files" }
}`)
	ctx := t.Context()
	_, _, provider, err := h.Provider(ctx, "a/m")
	if err != nil {
		t.Fatal(err)
	}
	_, store, err := h.FileBackend(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	transport, err := h.MCPTransport(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range h.Plugins() {
		if err := syscall.Kill(p.PID, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		plugin string
		call   func() error
	}{
		"ListModels": {"llm/a", func() error { _, err := provider.ListModels(ctx); return err }},
		"Stat":       {"files/a", func() error { _, err := store.Stat(ctx, "k"); return err }},
		"Delete":     {"files/a", func() error { return store.Delete(ctx, "k") }},
		"Presign": {"files/a", func() error {
			_, err := store.(files.Presigner).Presign(ctx, files.PresignRequest{Key: "k"})
			return err
		}},
		"List": {"files/a", func() error {
			for _, err := range store.List(ctx, "", "") {
				return err
			}
			return nil
		}},
		"CheckConfig": {"mcp/a", func() error { return transport.CheckConfig(ctx, json.RawMessage(`{}`)) }},
		"Connect": {"mcp/a", func() error {
			_, err := transport.Connect(ctx, mcptransport.Open{Slug: "x"})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.call()
			var e *sdk.Error
			if !errors.As(err, &e) || e.Code != sdk.CodeTimeout || !e.Retryable ||
				!strings.HasPrefix(e.Message, "plugin "+c.plugin+" did not answer within ") {
				t.Errorf("%s of a frozen plugin = %v, want a timeout that names %s", name, err, c.plugin)
			}
		})
	}
}

func TestCallerEndsCall(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, mcpBlock())
	transport, err := h.MCPTransport(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var e *sdk.Error
	if err := transport.CheckConfig(ctx, nil); errors.As(err, &e) && e.Code != sdk.CodeCancelled || err == nil {
		t.Errorf("CheckConfig after the caller left = %v, want cancelled", err)
	}
}
