package mcpservers

import (
	"bytes"
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
	secrets map[string]core.MCPSecrets
	states  map[string]core.MCPState
	// started is the state after an action. Nil means the one that is asked for.
	started *core.MCPState
	tools   []core.MCPTool
	lines   []core.MCPLogLine
	// more are later lines; closing deleted ends the followers.
	more    chan core.MCPLogLine
	deleted chan struct{}
	// followers is the number of current followers.
	followers int
	// inUse makes Delete fail without force.
	inUse bool
	// races is the number of updates that another client makes first.
	races int
}

func newRegistry() *registry {
	return &registry{
		servers: map[string]*core.MCPServer{}, secrets: map[string]core.MCPSecrets{}, states: map[string]core.MCPState{},
		more: make(chan core.MCPLogLine), deleted: make(chan struct{}),
	}
}

func (r *registry) add(id, owner string, change ...func(*core.MCPServer)) {
	s := &core.MCPServer{
		ID: id, Name: "file-operations", Slug: "slug-of-" + id, Transport: "http", Version: 1, CreatedBy: "user-" + owner,
		Config: json.RawMessage(
			`{"url":"https://example.com/mcp","headers":{"Authorization":"***"},"n":12345678901234567890}`,
		),
		DesiredState: core.MCPDesiredRunning, Capabilities: []string{"tools", "resources"},
		CreatedAt: testTime, UpdatedAt: testTime,
	}
	for _, c := range change {
		c(s)
	}
	r.servers[id] = s
	r.secrets[id] = core.MCPSecrets{Headers: map[string]string{"Authorization": "Bearer old"}}
}

func (r *registry) see(v core.Actor, id string) (*core.MCPServer, error) {
	s := r.servers[id]
	if s == nil || !s.ChangeableBy(v) && !s.Shared {
		return nil, core.NotFound("MCP server", id)
	}
	c := *s
	return &c, nil
}

func (r *registry) mayChange(v core.Actor, id string, version int64) (*core.MCPServer, error) {
	s, err := r.see(v, id)
	switch {
	case err != nil:
		return nil, err
	case !s.ChangeableBy(v):
		return nil, core.Forbidden("The MCP server belongs to another user")
	case version != 0 && version != s.Version:
		return nil, api.VersionConflict("MCP server")
	}
	return s, nil
}

func (r *registry) MCPServer(_ context.Context, v core.Actor, id string) (*core.MCPServer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.see(v, id)
}

func (r *registry) MCPServers(_ context.Context, v core.Actor, p core.Page) ([]*core.MCPServer, int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*core.MCPServer
	for id := range r.servers {
		if s, err := r.see(v, id); err == nil {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *core.MCPServer) int { return strings.Compare(b.ID, a.ID) })
	return apitest.Page(found, p), len(found), nil
}

// check validates a server and masks its secrets, as a manager does.
func (r *registry) check(v core.Actor, s *core.MCPServer, config core.MCPConfig) error {
	switch {
	case s.Transport == "gone":
		return core.Invalid("transport", `No mcp plugin is named "gone". Available: http, stdio.`)
	case s.Transport == "stdio" && !v.Admin():
		return core.Forbidden("Only an admin may run commands")
	}
	for _, other := range r.servers {
		if other.ID != s.ID && other.Slug == s.Slug {
			return core.Conflict("The slug %q is in use. Choose another one.", s.Slug)
		}
	}
	config, err := config.Merge(r.secrets[s.ID], true)
	if err != nil {
		return err
	}
	if bytes.Contains(config.JSON(), []byte(`"command":""`)) {
		return core.Invalid("config.command", "Must not be empty")
	}
	r.secrets[s.ID] = config.Secrets
	s.Config = config.Masked().JSON()
	return nil
}

func (r *registry) Create(
	_ context.Context, audit *core.AuditRecord, v core.Actor, s *core.MCPServer, config core.MCPConfig,
) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.check(v, s, config); err != nil {
		return err
	}
	c := *s
	r.servers[s.ID] = &c
	audit.Claim()
	if s.ShouldRun() {
		r.states[s.ID] = core.MCPState{Status: core.MCPStarting}
	}
	return nil
}

func (r *registry) Update(
	_ context.Context, audit *core.AuditRecord, v core.Actor, s *core.MCPServer, config core.MCPConfig,
) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.races > 0 {
		r.races--
		r.servers[s.ID].Version++
	}
	if _, err := r.mayChange(v, s.ID, s.Version); err != nil {
		return err
	}
	if err := r.check(v, s, config); err != nil {
		return err
	}
	s.Version++
	c := *s
	r.servers[s.ID] = &c
	audit.Claim()
	return nil
}

func (r *registry) Delete(
	_ context.Context, audit *core.AuditRecord, v core.Actor, id string, d core.MCPServerDeletion,
) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.mayChange(v, id, d.Version); err != nil {
		return err
	}
	if r.inUse && !d.Force {
		return core.Conflict("An agent uses the MCP server")
	}
	delete(r.servers, id)
	audit.Claim()
	return nil
}

func (r *registry) want(audit *core.AuditRecord, v core.Actor, id string, wanted bool, status core.MCPStatus) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.mayChange(v, id, 0)
	if err != nil {
		return err
	}
	s.DesiredState = core.DesiredMCPState(wanted)
	r.servers[id] = s
	r.states[id] = core.MCPState{Status: status}
	if r.started != nil {
		r.states[id] = *r.started
	}
	audit.Claim()
	return nil
}

func (r *registry) Start(_ context.Context, audit *core.AuditRecord, v core.Actor, id string) error {
	return r.want(audit, v, id, true, core.MCPStarting)
}

func (r *registry) Stop(_ context.Context, audit *core.AuditRecord, v core.Actor, id string) error {
	return r.want(audit, v, id, false, core.MCPStopping)
}

func (r *registry) Restart(_ context.Context, audit *core.AuditRecord, v core.Actor, id string) error {
	return r.want(audit, v, id, true, core.MCPStarting)
}

func (r *registry) State(id string) core.MCPState {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.states[id]; ok {
		return s
	}
	return core.MCPState{Status: core.MCPStopped}
}

func (r *registry) Tools(_ context.Context, s *core.MCPServer) ([]core.MCPTool, error) {
	if r.State(s.ID).Status != core.MCPRunning {
		return nil, core.Unavailable("The MCP server %q is not running. Start it first.", s.Slug)
	}
	return r.tools, nil
}

func (r *registry) Logs(ctx context.Context, _ string, tail int, follow bool) iter.Seq[core.MCPLogLine] {
	return func(yield func(core.MCPLogLine) bool) {
		r.follow(follow, 1)
		defer r.follow(follow, -1)
		for _, l := range r.lines[max(0, len(r.lines)-tail):] {
			if !yield(l) {
				return
			}
		}
		for follow {
			select {
			case l := <-r.more:
				if !yield(l) {
					return
				}
			case <-r.deleted:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

func (r *registry) follow(follow bool, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if follow {
		r.followers += n
	}
}

func (r *registry) following() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.followers
}

// log adds the lines 1 to n to the log.
func (r *registry) log(n int) {
	for i := range n {
		r.lines = append(r.lines, mcpLine(i+1))
	}
}

func mcpLine(seq int) core.MCPLogLine {
	return core.MCPLogLine{
		Seq: int64(seq), Time: testTime.Add(time.Duration(seq) * time.Second),
		Source: "stderr", Text: "line <" + string(rune('a'+seq%26)) + ">\n\xff",
	}
}
