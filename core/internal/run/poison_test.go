package run_test

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/pluginhost"
	"github.com/agentarea/agentarea/core/internal/run"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// hosted are plugins in their own processes. If the test has agents or providers of its own, these replace the
// hosted ones.
type hosted struct {
	*pluginhost.Host
	agent    agent.Runner
	provider llm.Provider
}

func (h *hosted) Agent(ctx context.Context, label string) (agent.Runner, error) {
	if h.agent != nil {
		return h.agent, nil
	}
	return h.Host.Agent(ctx, label)
}

func (h *hosted) Provider(ctx context.Context, model string) (string, string, llm.Provider, error) {
	if h.provider != nil {
		return "test", "m", h.provider, nil
	}
	return h.Host.Provider(ctx, model)
}

// host starts the plugin badplugin as an agent type or a provider.
func host(t *testing.T, block string) *hosted {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "badplugin"),
		"../pluginhost/testdata/badplugin")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build badplugin: %v\n%s", err, out)
	}
	cfg, err := config.Parse([]byte(block), "plugins.hcl")
	if err != nil {
		t.Fatal(err)
	}
	h := pluginhost.New(pluginhost.Options{
		Dirs: []string{dir}, DataDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err := h.Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	return &hosted{Host: h}
}

// wantRunning checks that the plugin takes calls and was started again at most n times.
func (h *hosted) wantRunning(t *testing.T, n int) {
	t.Helper()
	p := h.Plugins()[0]
	if p.State == core.PluginFailed || p.Restarts > n {
		t.Errorf("the plugin has state %s after %d restarts, want it running after at most %d", p.State, p.Restarts, n)
	}
}

// A run that kills its agent type fails. The runs that shared the process succeed, and the next poisonous runs
// do not disturb the shared process.
func TestPoison_agentType(t *testing.T) {
	t.Parallel()
	const runs = 20
	h := host(t, `plugin "agent" "chat" {
  command = "badplugin"
  env     = { BAD = "agent" }
}`)
	asked := make(chan struct{}, 10*runs)
	release := make(chan struct{})
	h.provider = provider(func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		asked <- struct{}{}
		select {
		case <-release:
			return say("ok")(ctx, req, out)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	env := newEnv(t)
	s := env.start(func(o *run.Options) { o.Plugins = h })
	good := make([]*core.Run, runs)
	for i := range good {
		good[i] = s.mustTurn(fmt.Sprint("good-", i), "hello")
	}
	for range good {
		<-asked
	}

	poison := *env.agent
	poison.ID = core.NewID("agent")
	if err := env.db.CreateAgent(t.Context(), nil, &poison); err != nil {
		t.Fatal(err)
	}
	die := func(i int) string {
		r, err := s.StartTurn(t.Context(), nil, env.actor, core.Turn{
			Agent: &poison, SessionID: fmt.Sprint("poison-", i), Parts: []sdk.Part{{Text: "die"}},
		})
		if err != nil {
			return err.Error()
		}
		return s.wait(r)
	}
	const want = `Agent type "chat" crashed each time it executed this run`
	for i := range runs {
		if got := die(i); !strings.Contains(got, want) {
			t.Errorf("poisonous run %d: got %s, want an error with %s", i, got, want)
		}
	}
	close(release)
	for _, r := range good {
		equal(t, s.wait(r), "ok")
	}
	h.wantRunning(t, 1)
	equal(t, s.wait(s.mustTurn("after", "hello")), "ok")
}

// A completion that kills its provider fails, and other completions of the process succeed.
func TestPoison_provider(t *testing.T) {
	t.Parallel()
	h := host(t, `plugin "llm" "a" {
  command = "badplugin"
  models  = ["*"]
}`)
	h.agent = loop(chat)
	env := newEnv(t)
	s := env.start(func(o *run.Options) { o.Plugins = h })
	good := make([]*core.Run, 10)
	for i := range good {
		good[i] = s.mustTurn(fmt.Sprint("good-", i), "hello")
	}
	const want = `provider "a": it crashed each time it answered this run`
	for i := range 5 {
		if got := s.wait(s.mustTurn(fmt.Sprint("poison-", i), "die")); !strings.Contains(got, want) {
			t.Errorf("poisonous run %d: got %s, want an error with %s", i, got, want)
		}
	}
	for _, r := range good {
		equal(t, s.wait(r), "")
	}
	h.wantRunning(t, 4)
	equal(t, s.wait(s.mustTurn("after", "hello")), "")
}
