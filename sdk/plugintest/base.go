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
	// stopTime is how long a plugin may take to stop, or to notice that its host
	// is gone.
	stopTime = 5 * time.Second
	// parallel is how many calls are made at once.
	parallel = 16
)

// base checks what plugins of all kinds promise.
func base(t *testing.T, kind string, c Command) {
	t.Helper()
	subtests(t, []subtest{
		{"WithoutTLS", func(t *testing.T) {
			plain := c
			plain.plain = true
			wantHealthy(t, Start(t, kind, plain).Base())
		}},
		{"StableDescribe", func(t *testing.T) { stableDescribe(t, kind, c) }},
		{"BadConfig", func(t *testing.T) { badConfig(t, kind, c) }},
		{"ParallelHealth", func(t *testing.T) {
			p := Start(t, kind, c)
			var wg sync.WaitGroup
			for range parallel {
				wg.Go(func() { wantHealthy(t, p.Base()) })
			}
			wg.Wait()
		}},
		{"Stop", func(t *testing.T) { stops(t, c) }},
		{"Lifeline", func(t *testing.T) {
			b := startBare(t, c)
			b.configure(t, c)
			_ = b.stdin.Close()
			b.wantEnd(t, stopTime, "its stdin was closed, which says that the host is gone")
			b.wantSilence(t)
		}},
	})
}

func wantHealthy(t *testing.T, b *plugin.Base) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := b.Health(ctx); err != nil {
		t.Errorf("Health: %v", err)
	}
}

// stableDescribe wants the same words of a plugin each time, and of another process.
func stableDescribe(t *testing.T, kind string, c Command) {
	t.Helper()
	first, second := Start(t, kind, c), Start(t, kind, c)
	again, err := first.Base().Describe(t.Context())
	if err != nil || !reflect.DeepEqual(again, first.Description) {
		t.Errorf("Describe gives %+v, and then %+v, %v", first.Description, again, err)
	}
	if !reflect.DeepEqual(second.Description, first.Description) || !reflect.DeepEqual(second.Schema, first.Schema) {
		t.Errorf("another process describes itself by %+v and %+v, not by %+v and %+v",
			second.Description, second.Schema, first.Description, first.Schema)
	}
}

// badConfig wants a refusal that points at what is wrong, and a plugin that can
// be configured afterwards.
func badConfig(t *testing.T, kind string, c Command) {
	t.Helper()
	p := Start(t, kind, c)
	bad := c.bad(t, p.Schema)
	if bad == nil {
		return // nothing in its config can be wrong
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	diagnostics, err := p.Base().Configure(ctx, bad, sdk.Env{Label: "plugintest", DataDir: t.TempDir()})
	if err != nil {
		t.Fatalf("Configure with a bad config fails (%v); want diagnostics", err)
	}
	found := false
	for _, d := range diagnostics {
		found = found || !d.Warning && len(d.Path) > 0
	}
	if !found {
		t.Errorf("Configure with the bad config %s gives the diagnostics %+v; want one that is no warning and has a path", bad, diagnostics)
	}
	if err := p.configure(ctx, c, p.Base(), t); err != nil {
		t.Errorf("Configure after a refusal: %v", err)
	}
}

// bad is a config to be refused; nil for none.
func (c *Command) bad(t *testing.T, schema sdk.Block) []byte {
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

// stops wants Stop and the end of the process in time, and that it said nothing
// on stdout, which is go-plugin's.
func stops(t *testing.T, c Command) {
	t.Helper()
	b := startBare(t, c)
	b.configure(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), stopTime)
	defer cancel()
	if err := plugin.NewBase(b.conn).Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
	// It may be gone before it has answered.
	_ = b.conn.Invoke(ctx, "/plugin.GRPCController/Shutdown", &emptypb.Empty{}, &emptypb.Empty{})
	b.wantEnd(t, stopTime, "plugin.GRPCController/Shutdown")
	b.wantSilence(t)
}

// configure hands over the config, as the host does.
func (b *bare) configure(t *testing.T, c Command) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := &Plugin{}
	if err := p.configure(ctx, c, plugin.NewBase(b.conn), t); err != nil {
		t.Fatalf("Configure: %v", err)
	}
}

func (b *bare) wantSilence(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if text := b.after.String(); text != "" {
		t.Errorf("after the handshake this came on stdout, which is not for words: %q", text)
	}
}
