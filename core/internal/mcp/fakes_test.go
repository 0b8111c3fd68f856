package mcp_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/mcp"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// fakeStore is a core.MCPServerStore in memory with the rules that the tests need.
type fakeStore struct {
	mu   sync.Mutex
	rows map[string]*core.MCPServer
}

func (f *fakeStore) get(v core.Actor, is func(*core.MCPServer) bool, name string) (*core.MCPServer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.rows {
		if is(s) && (v.Admin() || s.CreatedBy == v.UserID || s.Shared) {
			found := *s
			return &found, nil
		}
	}
	return nil, core.NotFound("MCP server", name)
}

func (f *fakeStore) MCPServer(_ context.Context, v core.Actor, id string) (*core.MCPServer, error) {
	return f.get(v, func(s *core.MCPServer) bool { return s.ID == id }, id)
}

func (f *fakeStore) MCPServerBySlug(_ context.Context, v core.Actor, slug string) (*core.MCPServer, error) {
	return f.get(v, func(s *core.MCPServer) bool { return s.Slug == slug }, slug)
}

func (f *fakeStore) CreateMCPServer(
	_ context.Context, _ *core.AuditRecord, v core.Actor, s *core.MCPServer, adminOnly bool,
) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if adminOnly && !v.Admin() {
		return core.Forbidden("no")
	}
	for _, stored := range f.rows {
		if stored.Slug == s.Slug {
			return core.Conflict("taken")
		}
	}
	row := *s
	f.rows[s.ID] = &row
	return nil
}

func (f *fakeStore) change(v core.Actor, id string, version int64, do func(*core.MCPServer)) error {
	if _, err := f.MCPServer(context.Background(), v, id); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	row := f.rows[id]
	switch {
	case !row.ChangeableBy(v):
		return core.Forbidden("no")
	case version != 0 && row.Version != version:
		return &core.Error{Code: core.CodePreconditionFailed}
	}
	do(row)
	return nil
}

func (f *fakeStore) UpdateMCPServer(
	_ context.Context, _ *core.AuditRecord, v core.Actor, s *core.MCPServer, _ bool,
) error {
	return f.change(v, s.ID, s.Version, func(row *core.MCPServer) {
		desired := row.DesiredState
		*row = *s
		row.Version++
		row.DesiredState = desired
	})
}

func (f *fakeStore) DeleteMCPServer(
	_ context.Context, _ *core.AuditRecord, v core.Actor, id string, d core.MCPServerDeletion,
) error {
	return f.change(v, id, d.Version, func(*core.MCPServer) { delete(f.rows, id) })
}

func (f *fakeStore) SetDesiredState(
	_ context.Context, _ *core.AuditRecord, v core.Actor, id string, state core.MCPDesiredState,
) error {
	return f.change(v, id, 0, func(row *core.MCPServer) { row.DesiredState = state })
}

func (f *fakeStore) MCPServers(context.Context, core.Actor, core.Page) ([]*core.MCPServer, int, error) {
	return nil, 0, errors.New("not implemented")
}

func (f *fakeStore) MCPServersToRun(context.Context) ([]*core.MCPServer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var running []*core.MCPServer
	for _, s := range f.rows {
		if s.ShouldRun() {
			found := *s
			running = append(running, &found)
		}
	}
	slices.SortFunc(running, func(a, b *core.MCPServer) int { return cmp.Compare(a.ID, b.ID) })
	return running, nil
}

func (f *fakeStore) SetMCPCapabilities(_ context.Context, id string, capabilities []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if row := f.rows[id]; row != nil {
		row.Capabilities = capabilities
	}
	return nil
}

// fakeEncrypter reverses the bytes and binds them to the key and the owner.
type fakeEncrypter struct{ key string }

func (f fakeEncrypter) Encrypt(owner string, secret []byte) ([]byte, error) {
	encrypted := bytes.Clone(secret)
	slices.Reverse(encrypted)
	return append([]byte(f.key+"/"+owner+"/"), encrypted...), nil
}

func (f fakeEncrypter) Decrypt(owner string, encrypted []byte) ([]byte, error) {
	secret, ok := bytes.CutPrefix(encrypted, []byte(f.key+"/"+owner+"/"))
	if !ok {
		return nil, errors.New("encrypted with another key or for another owner")
	}
	secret = bytes.Clone(secret)
	slices.Reverse(secret)
	return secret, nil
}

// fakeTransport opens connections with dial and records them.
type fakeTransport struct {
	dial  func(o mcptransport.Open) (mcptransport.Conn, error)
	check func(config json.RawMessage) error

	mu    sync.Mutex
	opens []mcptransport.Open
	conns []*fakeConn
}

func (f *fakeTransport) CheckConfig(_ context.Context, config json.RawMessage) error {
	if f.check == nil {
		return nil
	}
	return f.check(config)
}

func (f *fakeTransport) Connect(_ context.Context, o mcptransport.Open) (mcptransport.Conn, error) {
	f.mu.Lock()
	f.opens = append(f.opens, o)
	f.mu.Unlock()
	conn, err := f.dial(o)
	if c, ok := conn.(*fakeConn); ok {
		f.mu.Lock()
		f.conns = append(f.conns, c)
		f.mu.Unlock()
	}
	return conn, err
}

func (f *fakeTransport) opened() []mcptransport.Open {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.opens)
}

// latest returns the connection that was opened last.
func (f *fakeTransport) latest() *fakeConn {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns[len(f.conns)-1]
}

// alive returns the number of connections that have not ended.
func (f *fakeTransport) alive() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.conns {
		select {
		case <-c.done:
		default:
			n++
		}
	}
	return n
}

// fakeTransports has the transport stdio, which runs programs, http, which guards the network, and tcp, which does
// neither.
type fakeTransports struct {
	stdio, http, tcp *fakeTransport

	mu sync.Mutex
	// stopped is the label of a plugin that has not started. MCPTransport starts it.
	stopped string
}

func (f *fakeTransports) MCPTransport(_ context.Context, label string) (mcptransport.Transport, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped == label {
		f.stopped = ""
	}
	switch label {
	case "stdio":
		return f.stdio, nil
	case "http":
		return f.http, nil
	case "tcp":
		return f.tcp, nil
	}
	return nil, core.Unavailable("The plugin mcp/%s is down", label)
}

func (f *fakeTransports) Plugins() []core.Plugin {
	return []core.Plugin{
		{Kind: "llm", Label: "echo", State: core.PluginRunning},
		{Kind: "mcp", Label: "stdio", State: core.PluginRunning},
		{Kind: "mcp", Label: "http", State: core.PluginRunning},
		{Kind: "mcp", Label: "off", State: core.PluginDisabled},
		{Kind: "mcp", Label: "tcp", State: core.PluginRunning},
	}
}

func (f *fakeTransports) MCPTransportCapabilities(label string) (capabilities []string, started bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch label {
	case f.stopped:
		return nil, false
	case "stdio":
		return []string{mcptransport.CapabilityProcess}, true
	case "http":
		return []string{mcptransport.CapabilityGuardedNetwork}, true
	case "tcp":
		return nil, true
	}
	return nil, false
}

// fakeUsers is a mcp.Users with the users of the tests.
type fakeUsers map[string]core.Role

func (f fakeUsers) User(_ context.Context, id string) (*core.User, error) {
	role, ok := f[id]
	if !ok {
		return nil, core.NotFound("user", id)
	}
	return &core.User{ID: id, Role: role}, nil
}

// fakeConn is a connection in memory. The test or a go-sdk server uses the other side.
type fakeConn struct {
	in   chan []byte
	out  chan mcptransport.Frame
	done chan struct{}
	once sync.Once
	exit *mcptransport.Exit
	// slow is the duration of Close.
	slow time.Duration
}

func newFakeConn() *fakeConn {
	return &fakeConn{in: make(chan []byte, 16), out: make(chan mcptransport.Frame, 16), done: make(chan struct{})}
}

func (c *fakeConn) Info() mcptransport.Info { return mcptransport.Info{PID: 4711, Sandbox: "none"} }

func (c *fakeConn) Send(ctx context.Context, message []byte) error {
	select {
	case c.in <- bytes.Clone(message):
		return nil
	case <-c.done:
		return c.exit
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *fakeConn) Receive(ctx context.Context) (mcptransport.Frame, error) {
	select {
	case f := <-c.out:
		return f, nil
	default:
	}
	select {
	case f := <-c.out:
		return f, nil
	case <-c.done:
	case <-ctx.Done():
		return mcptransport.Frame{}, ctx.Err()
	}
	select {
	case f := <-c.out:
		return f, nil
	default:
		return mcptransport.Frame{}, c.exit
	}
}

func (c *fakeConn) Close() error {
	time.Sleep(c.slow)
	c.end(&mcptransport.Exit{Code: 0})
	return nil
}

func (c *fakeConn) end(e *mcptransport.Exit) {
	c.once.Do(func() {
		c.exit = e
		close(c.done)
	})
}

func (c *fakeConn) stderr(line string) { c.send(mcptransport.Frame{Stderr: line}) }

func (c *fakeConn) message(m string) { c.send(mcptransport.Frame{Message: []byte(m)}) }

func (c *fakeConn) send(f mcptransport.Frame) {
	select {
	case c.out <- f:
	case <-c.done:
	}
}

// testEnv is Servers with fake dependencies.
type testEnv struct {
	*mcp.Servers
	t          *testing.T
	store      *fakeStore
	transports *fakeTransports
	users      fakeUsers
	logged     *bytes.Buffer
}

var (
	admin  = core.Actor{UserID: "root", Role: core.RoleAdmin}
	member = core.Actor{UserID: "mia", Role: core.RoleMember}
	other  = core.Actor{UserID: "otto", Role: core.RoleMember}
)

// withEnv runs a test in a synctest bubble, which has its own clock.
func withEnv(
	t *testing.T, dial func(mcptransport.Open) (mcptransport.Conn, error), test func(t *testing.T, env *testEnv),
) {
	withOptions(t, dial, nil, test)
}

func withOptions(
	t *testing.T, dial func(mcptransport.Open) (mcptransport.Conn, error),
	more func(*mcp.Options), test func(t *testing.T, env *testEnv),
) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		env := &testEnv{
			t: t, store: &fakeStore{rows: map[string]*core.MCPServer{}}, logged: &bytes.Buffer{},
			transports: &fakeTransports{
				stdio: &fakeTransport{dial: dial}, http: &fakeTransport{dial: dial}, tcp: &fakeTransport{dial: dial},
			},
			users: fakeUsers{
				admin.UserID: admin.Role, member.UserID: member.Role, other.UserID: other.Role, "root-2": core.RoleAdmin,
			},
		}
		o := mcp.Options{
			Store: env.store, Users: env.users, Encrypter: fakeEncrypter{"k"}, Transports: env.transports,
			Logger: slog.New(slog.NewTextHandler(env.logged, nil)),
		}
		if more != nil {
			more(&o)
		}
		env.Servers = mcp.New(o)
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := env.Close(ctx); err != nil {
				t.Errorf("Close: %v", err)
			}
			synctest.Wait()
			if n := env.transports.stdio.alive() + env.transports.http.alive() + env.transports.tcp.alive(); n != 0 {
				t.Errorf("%d connections are still open", n)
			}
		}()
		if err := env.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, env)
	})
}

// parsed returns a config that a user sent.
func parsed(t *testing.T, config string) core.MCPConfig {
	t.Helper()
	c, err := core.ParseMCPConfig(json.RawMessage(config))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// create creates the shared server fs, which should run, with the transport stdio.
func (env *testEnv) create(config string) *core.MCPServer {
	env.t.Helper()
	s := &core.MCPServer{
		ID: "server-1", Slug: "fs", Transport: "stdio", Shared: true,
		DesiredState: core.MCPDesiredRunning, Version: 1, CreatedBy: "root",
	}
	if err := env.Create(env.t.Context(), nil, admin, s, parsed(env.t, config)); err != nil {
		env.t.Fatal(err)
	}
	return s
}

// settled waits until all goroutines are idle, and returns the server's state.
func (env *testEnv) settled(id string) core.MCPState {
	synctest.Wait()
	return env.State(id)
}

func (env *testEnv) wantStatus(id string, want core.MCPStatus) core.MCPState {
	env.t.Helper()
	st := env.settled(id)
	if st.Status != want {
		env.t.Fatalf("status %s (%s), want %s", st.Status, st.LastError, want)
	}
	return st
}

// lines returns the lines of the server's log with their sources.
func (env *testEnv) lines(id string) []string {
	var out []string
	for line := range env.Logs(env.t.Context(), id, 1000, false) {
		out = append(out, line.Source+": "+line.Text)
	}
	return out
}

func wantCode(t *testing.T, err error, want core.Code) {
	t.Helper()
	if core.CodeOf(err) != want || err == nil {
		t.Fatalf("got %v, want %s", err, want)
	}
}

// wantInvalid fails the test unless err is a validation error of exactly this field.
func wantInvalid(t *testing.T, err error, field, issue string) {
	t.Helper()
	wantCode(t, err, core.CodeValidation)
	var e *core.Error
	if errors.As(err, &e); len(e.Fields) != 1 || e.Fields[0].Field != field ||
		!strings.Contains(e.Fields[0].Issue, issue) {
		t.Fatalf("got %v, want %s: …%s…", err, field, issue)
	}
}
