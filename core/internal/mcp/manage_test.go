package mcp_test

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/mcp"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

func TestCreateChecks(t *testing.T) {
	withOptions(t, legacy(echo), func(o *mcp.Options) { o.Commands = []string{"npx", "uvx"} },
		func(t *testing.T, env *testEnv) {
			env.transports.http.check = func(config json.RawMessage) error {
				var c struct{ URL string }
				if err := json.Unmarshal(config, &c); err != nil || c.URL != "" {
					return err
				}
				return errors.Join(&sdk.ConfigError{Path: []string{"url"}, Summary: "must not be empty", Detail: "Give one"},
					&sdk.ConfigError{Path: []string{"headers", "X"}, Summary: "hunter22 is no token"},
					&sdk.ConfigError{Path: []string{"args", "1"}, Summary: "must not be empty"})
			}
			for name, test := range map[string]struct {
				viewer                  core.Actor
				slug, transport, config string
				field, issue            string
			}{
				"slug":            {admin, "No Slug", "stdio", `{"command":"npx"}`, "slug", "a-z"},
				"no transport":    {admin, "a", "carrier-pigeon", `{}`, "transport", "Must be one of: stdio, http"},
				"disabled":        {admin, "a", "off", `{}`, "transport", "Must be one of: stdio, http"},
				"another kind":    {admin, "a", "echo", `{}`, "transport", "Must be one of: stdio, http"},
				"nothing to keep": {admin, "a", "stdio", `{"command":"npx","env":{"KEY":"***"}}`, "config.env.KEY", "there is none"},
				"not allowed":     {admin, "a", "stdio", `{"command":"/usr/bin/npx"}`, "config.command", "npx, uvx"},
				"no command":      {admin, "a", "stdio", `{}`, "config.command", "npx, uvx"},
			} {
				s := &core.MCPServer{
					ID: "server-9", Slug: test.slug, Transport: test.transport, DesiredState: core.MCPDesiredRunning,
				}
				t.Log(name)
				wantInvalid(t, env.Create(t.Context(), nil, test.viewer, s, parsed(t, test.config)), test.field, test.issue)
			}
			err := env.Create(t.Context(), nil, member, &core.MCPServer{
				ID: "server-9", Slug: "a", Transport: "http", DesiredState: core.MCPDesiredRunning,
			}, parsed(t, `{"args":["a",""],"headers":{"X":"hunter22"}}`))
			wantCode(t, err, core.CodeValidation)
			var e *core.Error
			if errors.As(err, &e); len(e.Fields) != 3 || e.Fields[0].Field != "config.url" || e.Fields[2].Field != "config.args[1]" ||
				e.Fields[1] != (core.FieldError{Field: "config.headers.X", Issue: "*** is no token"}) {
				t.Errorf("got fields %+v", e.Fields)
			}
			// A member does not learn whether a command exists on this machine.
			env.transports.stdio.check = func(json.RawMessage) error {
				return &sdk.ConfigError{Path: []string{"command"}, Summary: "not there"}
			}
			wantCode(t, env.Create(t.Context(), nil, member, &core.MCPServer{
				ID: "server-9", Slug: "a", Transport: "stdio",
			}, parsed(t, `{"command":"npx"}`)), core.CodeForbidden)
			if len(env.store.rows) != 0 || len(env.transports.stdio.opened()) != 0 {
				t.Error("a server was stored or started")
			}
		})
}

func TestSecretsAreEncryptedMaskedAndKept(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.create(`{"command":"peer","args":["-v"],"env":{"A":"alpha1","B":"beta22"}}`)
		const masked = `{"args":["-v"],"command":"peer","env":{"A":"***","B":"***"}}`
		if string(s.Config) != masked || len(s.Secrets) == 0 || strings.Contains(string(s.Secrets), "alpha1") {
			t.Errorf("config %s, secrets %q", s.Config, s.Secrets)
		}
		started := func(n int, vars map[string]string) {
			t.Helper()
			env.wantStatus(s.ID, core.MCPRunning)
			opens := env.transports.stdio.opened()
			if len(opens) != n {
				t.Fatalf("got %d starts, want %d", len(opens), n)
			}
			var c struct{ Env map[string]string }
			if err := json.Unmarshal(opens[n-1].Config, &c); err != nil || !maps.Equal(c.Env, vars) {
				t.Errorf("start %d with %s, want %v", n, opens[n-1].Config, vars)
			}
		}
		started(1, map[string]string{"A": "alpha1", "B": "beta22"})
		update := func(config string) error {
			stored, err := env.store.MCPServer(t.Context(), admin, s.ID)
			if err != nil {
				t.Fatal(err)
			}
			stored.Name = "renamed"
			return env.Update(t.Context(), nil, admin, stored, parsed(t, config))
		}
		// An unchanged config does not restart the server.
		if err := update(masked); err != nil {
			t.Fatal(err)
		}
		started(1, map[string]string{"A": "alpha1", "B": "beta22"})
		// One value is new, one is kept, one is removed.
		if err := update(`{"command":"peer","args":["-v"],"env":{"A":"***","C":"gamma3"}}`); err != nil {
			t.Fatal(err)
		}
		started(2, map[string]string{"A": "alpha1", "C": "gamma3"})
		wantInvalid(t, update(`{"command":"peer","env":{"B":"***"}}`), "config.env.B", "there is none")
		// No secret follows a changed command or transport.
		wantInvalid(t, update(`{"command":"other","env":{"A":"***"}}`), "config.env.A", "Enter the value again")
		moved, err := env.store.MCPServer(t.Context(), admin, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		moved.Transport = "http"
		wantInvalid(t, env.Update(t.Context(), nil, admin, moved, parsed(t, `{"command":"peer","env":{"A":"***"}}`)),
			"config.env.A", "Enter the value again")
		// A stale update changes nothing.
		stale, err := env.store.MCPServer(t.Context(), admin, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		stale.Version--
		wantCode(t, env.Update(t.Context(), nil, admin, stale, parsed(t, plainConfig)), core.CodePreconditionFailed)
		wantCode(t, env.Update(t.Context(), nil, member, stale, parsed(t, plainConfig)), core.CodeForbidden)
		started(2, map[string]string{"A": "alpha1", "C": "gamma3"})
		for _, secret := range []string{"alpha1", "beta22", "gamma3"} {
			if strings.Contains(env.logged.String(), secret) {
				t.Errorf("%s is in the server log:\n%s", secret, env.logged)
			}
		}
	})
}

func TestSecretsOfAnotherKey(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		encrypted, err := fakeEncrypter{"old"}.Encrypt("server-1", []byte(`{"env":{"A":"alpha1"}}`))
		if err != nil {
			t.Fatal(err)
		}
		env.store.rows["server-1"] = &core.MCPServer{
			ID: "server-1", Slug: "fs", Transport: "stdio", Config: json.RawMessage(`{"env":{"A":"***"}}`),
			Secrets: encrypted, DesiredState: core.MCPDesiredRunning, Version: 1,
		}
		if err := env.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st := env.wantStatus("server-1", core.MCPError); !strings.Contains(st.LastError, "another key") {
			t.Errorf("got error %q", st.LastError)
		}
		s, err := env.store.MCPServer(t.Context(), admin, "server-1")
		if err != nil {
			t.Fatal(err)
		}
		if err := env.Update(t.Context(), nil, admin, s, parsed(t, `{"env":{"A":"alpha2"}}`)); err != nil {
			t.Fatal(err)
		}
		env.wantStatus(s.ID, core.MCPRunning)
	})
}

func TestDeleteStopsServerAndClosesLog(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		env.wantStatus(s.ID, core.MCPRunning)
		followed := make(chan int)
		go func() {
			n := 0
			for range env.Logs(t.Context(), s.ID, 100, true) {
				n++
			}
			followed <- n
		}()
		wantCode(t, env.Delete(t.Context(), nil, admin, s.ID, core.MCPServerDeletion{Version: 7}), core.CodePreconditionFailed)
		wantCode(t, env.Delete(t.Context(), nil, other, s.ID, core.MCPServerDeletion{}), core.CodeForbidden)
		env.wantStatus(s.ID, core.MCPRunning)
		if err := env.Delete(t.Context(), nil, admin, s.ID, core.MCPServerDeletion{Version: 1}); err != nil {
			t.Fatal(err)
		}
		if n := <-followed; n < 2 {
			t.Errorf("got %d lines", n)
		}
		env.wantStatus(s.ID, core.MCPStopped)
		if env.transports.stdio.alive() != 0 {
			t.Error("its connection is still open")
		}
		if lines := env.lines(s.ID); len(lines) != 0 {
			t.Errorf("its log still exists: %q", lines)
		}
	})
}

func TestCommandRemovedFromAllowList(t *testing.T) {
	withOptions(t, legacy(echo), func(o *mcp.Options) { o.Commands = []string{"npx"} }, func(t *testing.T, env *testEnv) {
		env.store.rows["server-1"] = &core.MCPServer{
			ID: "server-1", Slug: "fs", Transport: "stdio",
			Config: json.RawMessage(plainConfig), DesiredState: core.MCPDesiredRunning, Version: 1,
		}
		if err := env.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st := env.wantStatus("server-1", core.MCPError); !strings.Contains(st.LastError, "AGENTAREA_MCP_COMMANDS") {
			t.Errorf("got error %q", st.LastError)
		}
		if len(env.transports.stdio.opened()) != 0 {
			t.Error("the server was started")
		}
	})
}

func TestStartStopRestart(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		env.wantStatus(s.ID, core.MCPRunning)
		for _, do := range []func() error{
			func() error { return env.Start(t.Context(), nil, other, s.ID) },
			func() error { return env.Stop(t.Context(), nil, other, s.ID) },
			func() error { return env.Restart(t.Context(), nil, other, s.ID) },
		} {
			wantCode(t, do(), core.CodeForbidden)
		}
		wantCode(t, env.Start(t.Context(), nil, admin, "server-none"), core.CodeNotFound)
		step := func(what string, do error, status core.MCPStatus, starts int) {
			t.Helper()
			if do != nil {
				t.Fatal(do)
			}
			env.wantStatus(s.ID, status)
			if n := len(env.transports.stdio.opened()); n != starts {
				t.Errorf("%s: %d starts, want %d", what, n, starts)
			}
		}
		step("start of a running one", env.Start(t.Context(), nil, admin, s.ID), core.MCPRunning, 1)
		step("restart", env.Restart(t.Context(), nil, admin, s.ID), core.MCPRunning, 2)
		step("stop", env.Stop(t.Context(), nil, admin, s.ID), core.MCPStopped, 2)
		step("stop again", env.Stop(t.Context(), nil, admin, s.ID), core.MCPStopped, 2)
		step("restart of a stopped one", env.Restart(t.Context(), nil, admin, s.ID), core.MCPRunning, 3)
		env.transports.stdio.latest().end(&mcptransport.Exit{Code: 1})
		env.wantStatus(s.ID, core.MCPError)
		if err := env.Start(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		if st := env.State(s.ID); st.Status != core.MCPStarting && st.Status != core.MCPRunning || st.LastError != "" {
			t.Errorf("State() = %+v just after the start of a failed server, want it starting without an error", st)
		}
		step("start in the pause", env.Start(t.Context(), nil, admin, s.ID), core.MCPRunning, 4)
		time.Sleep(time.Minute)
		step("later", nil, core.MCPRunning, 4)
		if !env.store.rows[s.ID].ShouldRun() {
			t.Error("ShouldRun() = false")
		}
	})
}

// TestCreate_storeErrorKeepsTheServerUnchanged checks that the caller can try again.
func TestCreate_storeErrorKeepsTheServerUnchanged(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		env.create(plainConfig)
		config := parsed(t, `{"command":"peer","env":{"A":"alpha1"}}`)
		s := &core.MCPServer{ID: "server-2", Slug: "fs", Transport: "stdio", DesiredState: core.MCPDesiredRunning}
		wantCode(t, env.Create(t.Context(), nil, admin, s, config), core.CodeConflict)
		if s.Config != nil || s.Secrets != nil {
			t.Errorf("config %s, secrets %q", s.Config, s.Secrets)
		}
		s.Slug = "fs-2"
		if err := env.Create(t.Context(), nil, admin, s, config); err != nil {
			t.Fatal(err)
		}
		env.wantStatus(s.ID, core.MCPRunning)
	})
}
