package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const password = "bench-password-1"

// The two plugin processes of every turn.
const pluginsHCL = `plugin "agent" "chat" {
  command = "agent-chat"
}

plugin "llm" "openai" {
  command = "llm-openai"
  models  = ["gpt-*"]
  config {
    base_url = %q
    api_key  = "bench"
  }
}
`

// startServer starts the server as its users do, with a new database, and creates an agent.
func (r *rig) startServer(ctx context.Context, dir, binary string, plugins []byte, env ...string) error {
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("the server is not built: %w", err)
	}
	config := filepath.Join(dir, "plugins.hcl")
	if err := os.WriteFile(config, plugins, 0o600); err != nil {
		return err
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	p, err := start(dir, "server", append(env,
		"AGENTAREA_ADMIN_USERNAME=admin",
		"AGENTAREA_ADMIN_PASSWORD="+password,
		// All requests come from one address.
		"AGENTAREA_RATE_LIMIT_PER_MINUTE=0",
		"AGENTAREA_RATE_LIMIT_BURST=0",
		"AGENTAREA_DRAIN_DELAY=0",
	), binary, "serve", "--listen", addr, "--config", config, "--data-dir", filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	r.procs = append(r.procs, p)
	r.server = &agentarea{addr: addr, process: p}
	if err := p.await(ctx, func(ctx context.Context) error {
		return r.server.call(ctx, http.MethodGet, "/health/ready", nil, nil)
	}); err != nil {
		return err
	}
	if err := r.server.login(ctx); err != nil {
		return p.fault(err)
	}
	var agent struct{ ID string }
	if err := r.server.call(ctx, http.MethodPost, "/v1/agents", map[string]any{
		"name": "bench", "type": "chat", "config": map[string]any{"model": "gpt-4o-mini"},
	}, &agent); err != nil {
		return p.fault(err)
	}
	r.server.agent = agent.ID
	go r.server.stayLoggedIn(ctx)
	return nil
}

func (a *agentarea) login(ctx context.Context) error {
	var reply struct {
		AccessToken string `json:"access_token"`
	}
	err := a.call(ctx, http.MethodPost, "/v1/auth/login", map[string]string{"username": "admin", "password": password},
		&reply)
	if err == nil {
		a.token.Store(&reply.AccessToken)
	}
	return err
}

// stayLoggedIn gets a new access token before the old one expires, until the rig is closed.
func (a *agentarea) stayLoggedIn(ctx context.Context) {
	tick := time.NewTicker(5 * time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := a.login(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "bench: a new login failed:", err)
			}
		}
	}
}

// limited is the error of a rate-limited request. It is the time to wait.
type limited struct{ wait time.Duration }

func (l limited) Error() string { return "the rate is limited for " + l.wait.String() }

// call sends a request that is not measured.
func (a *agentarea) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token := a.token.Load(); token != nil {
		req.Header.Set("Authorization", "Bearer "+*token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		wait, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return limited{time.Duration(wait) * time.Second}
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
