package plugintest

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
)

const (
	// stopTime is the time that a plugin has to stop, or to exit after its host has exited.
	stopTime = 5 * time.Second
	// parallel is the number of concurrent calls.
	parallel = 16
)

// base runs the checks for plugins of all kinds. The plugin p runs with the command c.
func base(t *testing.T, kind string, c Command, p *Plugin) {
	t.Helper()
	subtests(t, "all", []subtest{
		{"WithoutTLS", func(t *testing.T) {
			insecure := c
			insecure.withoutTLS = true
			checkHealthy(t, Start(t, kind, insecure).Base())
		}},
		{"StableDescribe", func(t *testing.T) { stableDescribe(t, kind, c) }},
		{"ConfigSchema", func(t *testing.T) {
			if err := checkBlock("config", p.Schema); err != nil {
				t.Errorf("ConfigSchema is not valid: %v", err)
			}
		}},
		{"BadConfig", func(t *testing.T) { badConfig(t, kind, c) }},
		{"ParallelHealth", func(t *testing.T) {
			p := Start(t, kind, c)
			var wg sync.WaitGroup
			for range parallel {
				wg.Go(func() { checkHealthy(t, p.Base()) })
			}
			wg.Wait()
		}},
		{"Stop", func(t *testing.T) { stops(t, c) }},
		{"Lifeline", func(t *testing.T) {
			b := startBare(t, c)
			b.configure(t, c)
			_ = b.stdin.Close()
			b.checkExits(t, stopTime, "its stdin was closed, which means that the host has exited")
			b.checkSilent(t)
		}},
	})
}

// checkHealthy checks that Health succeeds within two seconds.
func checkHealthy(t *testing.T, b *plugin.Base) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), healthTimeout)
	defer cancel()
	if err := b.Health(ctx); err != nil {
		t.Errorf("Health: %v", err)
	}
}

// stableDescribe checks that all calls and all processes return the same description.
func stableDescribe(t *testing.T, kind string, c Command) {
	t.Helper()
	first, second := Start(t, kind, c), Start(t, kind, c)
	again, err := first.Base().Describe(t.Context())
	if err != nil || !reflect.DeepEqual(again, first.Description) {
		t.Errorf("Describe returned %+v and then %+v, %v, want the same description", first.Description, again, err)
	}
	if !reflect.DeepEqual(second.Description, first.Description) || !reflect.DeepEqual(second.Schema, first.Schema) {
		t.Errorf("another process returned the description %+v and the schema %+v, want %+v and %+v",
			second.Description, second.Schema, first.Description, first.Schema)
	}
}

// badConfig checks that the plugin rejects an invalid config with a path, and accepts a valid one
// afterwards.
func badConfig(t *testing.T, kind string, c Command) {
	t.Helper()
	p := Start(t, kind, c)
	bad := c.badConfigJSON(t, p.Schema)
	if bad == nil {
		return // the plugin has no settings
	}
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	diagnostics, err := p.Base().Configure(ctx, bad, sdk.Env{Label: "plugintest", DataDir: t.TempDir()})
	if err != nil {
		t.Fatalf("Configure with a bad config returned the error %v, want diagnostics", err)
	}
	found := false
	for _, d := range diagnostics {
		found = found || !d.Warning && len(d.Path) > 0
	}
	if !found {
		t.Errorf("Configure with the bad config %s returned the diagnostics %+v, want an error that has a path",
			bad, diagnostics)
	}
	if err := p.configure(ctx, c, p.Base(), t); err != nil {
		t.Errorf("Configure with a good config after a bad one: %v", err)
	}
}

// badConfigJSON returns a config that the plugin must reject, or nil if it has no settings.
func (c *Command) badConfigJSON(t *testing.T, schema sdk.Block) []byte {
	t.Helper()
	config := map[string]any{}
	switch {
	case c.BadConfig != nil:
		data, err := json.Marshal(c.BadConfig)
		if err != nil {
			t.Fatalf("BadConfig: %v", err)
		}
		return data
	case len(schema.Attributes) == 0:
		return nil
	case c.Config != nil:
		data, err := json.Marshal(c.Config)
		if err == nil {
			err = json.Unmarshal(data, &config)
		}
		if err != nil {
			t.Fatalf("Config: %v", err)
		}
		config = maps.Clone(config)
	}
	config[schema.Attributes[0].Name] = []any{map[string]any{"plugintest": nil}}
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// stops checks that Stop succeeds, that the process then exits in time, and that it writes nothing to
// stdout after the handshake.
func stops(t *testing.T, c Command) {
	t.Helper()
	b := startBare(t, c)
	b.configure(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), stopTime)
	defer cancel()
	if err := plugin.NewBase(b.conn).Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
	// Ignore the error, because the process may exit before it responds.
	_ = b.conn.Invoke(ctx, "/plugin.GRPCController/Shutdown", &emptypb.Empty{}, &emptypb.Empty{})
	b.checkExits(t, stopTime, "plugin.GRPCController/Shutdown")
	b.checkSilent(t)
}

// configure passes the config to the plugin, as the host does.
func (b *bare) configure(t *testing.T, c Command) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	p := &Plugin{}
	if err := p.configure(ctx, c, plugin.NewBase(b.conn), t); err != nil {
		t.Fatalf("Configure: %v", err)
	}
}

// checkSilent checks that there was no output on stdout after the handshake.
func (b *bare) checkSilent(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if text := b.after.String(); text != "" {
		t.Errorf("got output on stdout after the handshake, want none: %q", text)
	}
}
