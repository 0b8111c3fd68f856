package mcpservers

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

var testTime = time.Date(2025, 1, 2, 3, 4, 5, 678000, time.UTC)

// testEnv is the API over MCP servers in memory.
type testEnv struct {
	*apitest.Server
	mcp *registry
}

// envOption changes the options of newEnv.
type envOption func(*api.Options, *Options)

func newEnv(t *testing.T, change ...envOption) *testEnv {
	t.Helper()
	r := newRegistry()
	o := Options{Store: r, Manager: r, Controller: r, Inspector: r}
	s := apitest.New(t, func(a *api.Options) {
		for _, f := range change {
			f(a, &o)
		}
	})
	Register(s.API, o)
	return &testEnv{Server: s, mcp: r}
}

// registry is a Store, Manager, Controller and Inspector in memory. Servers with the transport stdio are
// for admins, and the transport "gone" does not exist.
type registry struct {
	mu      sync.Mutex
	servers map[string]*core.MCPServer
	secrets map[string]map[string]string
	states  map[string]core.MCPState
	tools   []core.MCPTool
	lines   []core.MCPLogLine
	// more are later lines; closing deleted ends the followers.
	more    chan core.MCPLogLine
	deleted chan struct{}
	// followers is the number of current followers.
	followers int
	// races is the number of updates that another client makes first.
	races int
}

func newRegistry() *registry {
	return &registry{
		servers: map[string]*core.MCPServer{}, secrets: map[string]map[string]string{}, states: map[string]core.MCPState{},
		more: make(chan core.MCPLogLine), deleted: make(chan struct{}),
	}
}

func (w *registry) add(id, owner string, change ...func(*core.MCPServer)) {
	s := &core.MCPServer{
		ID: id, Name: "file-operations", Slug: "slug-of-" + id, Transport: "http", Version: 1, CreatedBy: "user-" + owner,
		Config:       json.RawMessage(`{"url":"https://example.com/mcp","headers":{"Authorization":"***"},"n":12345678901234567890}`),
		DesiredState: core.MCPDesiredRunning, Capabilities: []string{"tools", "resources"}, CreatedAt: testTime, UpdatedAt: testTime,
	}
	for _, c := range change {
		c(s)
	}
	w.servers[id] = s
	w.secrets[id] = map[string]string{"headers.Authorization": "Bearer old"}
}

func (w *registry) see(v core.Actor, id string) (*core.MCPServer, error) {
	s := w.servers[id]
	if s == nil || !s.ChangeableBy(v) && !s.Shared {
		return nil, core.NotFound("MCP server", id)
	}
	c := *s
	return &c, nil
}

func (w *registry) mayChange(v core.Actor, id string, version int64) (*core.MCPServer, error) {
	s, err := w.see(v, id)
	switch {
	case err != nil:
		return nil, err
	case !s.ChangeableBy(v):
		return nil, core.Forbidden("the MCP server is somebody else's")
	case version != 0 && version != s.Version:
		return nil, api.VersionConflict("MCP server")
	}
	return s, nil
}

func (w *registry) MCPServer(_ context.Context, v core.Actor, id string) (*core.MCPServer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.see(v, id)
}

func (w *registry) MCPServers(_ context.Context, v core.Actor, p core.Page) ([]*core.MCPServer, int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []*core.MCPServer
	for id := range w.servers {
		if s, err := w.see(v, id); err == nil {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *core.MCPServer) int { return strings.Compare(b.ID, a.ID) })
	return apitest.Page(found, p), len(found), nil
}

// check is what a manager refuses, and how it masks.
func (w *registry) check(v core.Actor, s *core.MCPServer) error {
	switch {
	case s.Transport == "gone":
		return core.Invalid("transport", `There is no mcp plugin "gone"; there are: http, stdio`)
	case s.Transport == "stdio" && !v.Admin():
		return core.Forbidden("Insufficient permissions: only an admin may run commands")
	}
	for _, other := range w.servers {
		if other.ID != s.ID && other.Slug == s.Slug {
			return core.Conflict("The slug %q is taken: choose another", s.Slug)
		}
	}
	var config map[string]any
	if err := json.Unmarshal(s.Config, &config); err != nil {
		return err
	}
	if command, ok := config["command"]; ok && command == "" {
		return core.Invalid("config.command", "Must not be empty")
	}
	old, now := w.secrets[s.ID], map[string]string{}
	for _, field := range secretFields {
		values, _ := config[field].(map[string]any)
		for name, value := range values {
			key := field + "." + name
			if now[key] = value.(string); value == core.Masked {
				now[key] = old[key]
			}
			values[name] = core.Masked
		}
	}
	w.secrets[s.ID] = now
	masked, err := json.Marshal(config)
	s.Config = masked
	return err
}

func (w *registry) Create(_ context.Context, audit *core.AuditRecord, v core.Actor, s *core.MCPServer) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.check(v, s); err != nil {
		return err
	}
	c := *s
	w.servers[s.ID] = &c
	audit.Claim()
	if s.ShouldRun() {
		w.states[s.ID] = core.MCPState{Status: core.MCPStarting}
	}
	return nil
}

func (w *registry) Update(_ context.Context, audit *core.AuditRecord, v core.Actor, s *core.MCPServer) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.races > 0 {
		w.races--
		w.servers[s.ID].Version++
	}
	if _, err := w.mayChange(v, s.ID, s.Version); err != nil {
		return err
	}
	if err := w.check(v, s); err != nil {
		return err
	}
	s.Version++
	c := *s
	w.servers[s.ID] = &c
	audit.Claim()
	return nil
}

func (w *registry) Delete(_ context.Context, audit *core.AuditRecord, v core.Actor, id string, version int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.mayChange(v, id, version); err != nil {
		return err
	}
	delete(w.servers, id)
	audit.Claim()
	return nil
}

func (w *registry) want(audit *core.AuditRecord, v core.Actor, id string, wanted bool, status core.MCPStatus) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, err := w.mayChange(v, id, 0)
	if err != nil {
		return err
	}
	s.DesiredState = core.DesiredMCPState(wanted)
	w.servers[id] = s
	w.states[id] = core.MCPState{Status: status}
	audit.Claim()
	return nil
}

func (w *registry) Start(_ context.Context, audit *core.AuditRecord, v core.Actor, id string) error {
	return w.want(audit, v, id, true, core.MCPStarting)
}

func (w *registry) Stop(_ context.Context, audit *core.AuditRecord, v core.Actor, id string) error {
	return w.want(audit, v, id, false, core.MCPStopping)
}

func (w *registry) Restart(_ context.Context, audit *core.AuditRecord, v core.Actor, id string) error {
	return w.want(audit, v, id, true, core.MCPStarting)
}

func (w *registry) State(id string) core.MCPState {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s, ok := w.states[id]; ok {
		return s
	}
	return core.MCPState{Status: core.MCPStopped}
}

func (w *registry) Tools(_ context.Context, s *core.MCPServer) ([]core.MCPTool, error) {
	if w.State(s.ID).Status != core.MCPRunning {
		return nil, core.Unavailable("The MCP server %q does not run: start it", s.Slug)
	}
	return w.tools, nil
}

func (w *registry) Logs(ctx context.Context, _ string, tail int, follow bool) iter.Seq[core.MCPLogLine] {
	return func(yield func(core.MCPLogLine) bool) {
		w.follow(follow, 1)
		defer w.follow(follow, -1)
		for _, l := range w.lines[max(0, len(w.lines)-tail):] {
			if !yield(l) {
				return
			}
		}
		for follow {
			select {
			case l := <-w.more:
				if !yield(l) {
					return
				}
			case <-w.deleted:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

func (w *registry) follow(follow bool, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if follow {
		w.followers += n
	}
}

func (w *registry) following() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.followers
}

// log gives the world lines 1 to n.
func (w *registry) log(n int) {
	for i := range n {
		w.lines = append(w.lines, mcpLine(i+1))
	}
}

func mcpLine(seq int) core.MCPLogLine {
	return core.MCPLogLine{
		Seq: int64(seq), Time: testTime.Add(time.Duration(seq) * time.Second), Source: "stderr", Text: "line <" + string(rune('a'+seq%26)) + ">\n\xff",
	}
}
