package mcp

import (
	"context"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/supervise"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// Transports finds the mcp plugins.
type Transports interface {
	// MCPTransport returns the mcp plugin with the given label. It waits briefly for a
	// plugin that is starting, and then fails with Unavailable.
	MCPTransport(ctx context.Context, label string) (mcptransport.Transport, error)
	// MCPTransportCapabilities returns the capabilities of the mcp plugin with the given label. started is false if
	// there is no such plugin, or if it has not started yet.
	MCPTransportCapabilities(label string) (capabilities []string, started bool)
	// Plugins returns all plugins in the order of plugins.hcl.
	Plugins() []core.Plugin
}

// Users finds users.
type Users interface {
	// User returns the user with the given id. It fails with NotFound.
	User(ctx context.Context, id string) (*core.User, error)
}

// Options configure Servers. Limits, Times, Commands, Version, Notifier and Logger are
// optional.
type Options struct {
	Store      core.MCPServerStore
	Users      Users
	Encrypter  core.Encrypter
	Transports Transports
	// Commands are the only commands that a server may run, compared exactly. Empty
	// allows all commands.
	Commands []string
	// Version is the AgentArea version, which is sent to servers.
	Version string
	Limits  Limits
	Times   Times
	// Notifier notifies users when servers start, fail or stop.
	Notifier core.Notifier
	Logger   *slog.Logger
}

// Limits limit the resources of servers. A zero field has its default.
type Limits struct {
	// Connections is the number of connections per server, without the main one: 64.
	Connections int
	// Log is the size of a server's log, in bytes: 1 MiB.
	Log int
	// Text and Blobs are the maximum sizes of the text and of the images of a tool
	// result, in bytes: 256 KiB and 4 MiB.
	Text, Blobs int
	// Tools is the maximum number of tools of a server: 1000. List is the maximum size of its tool list, in
	// bytes: 1 MiB.
	Tools, List int
}

// Times are timeouts and intervals. A zero field has its default.
type Times struct {
	// Start limits the start of a connection and its handshake: 2 min, because npx
	// may first download the server.
	Start time.Duration
	// Discover limits how long a server may leave server/discover unanswered before
	// it is treated as a legacy server: 20 s.
	Discover time.Duration
	// Stop is the maximum time for a connection to end: 30 s.
	Stop time.Duration
	// Backoff is the first delay before a restart (250 ms). The delay doubles up to
	// BackoffMax (60 s) and starts over after a session of Reset (30 s).
	Backoff, BackoffMax, Reset time.Duration
	// Ping is the interval between pings (30 s), and Pong the timeout of each
	// (10 s). After three failures in a row the server is restarted.
	Ping, Pong time.Duration
	// Call limits a tool call (60 s); each progress notification restarts it. List
	// limits the listing of tools (30 s).
	Call, List time.Duration
	// Wait limits how long a caller waits for a server that is starting: 5 s.
	Wait time.Duration
	// Store limits database calls that no caller waits for: 10 s.
	Store time.Duration
}

func (l *Limits) defaults() {
	for _, n := range []struct {
		field    *int
		fallback int
	}{
		{&l.Connections, 64},
		{&l.Log, 1 << 20},
		{&l.Text, 256 << 10},
		{&l.Blobs, 4 << 20},
		{&l.Tools, 1000},
		{&l.List, 1 << 20},
	} {
		if *n.field == 0 {
			*n.field = n.fallback
		}
	}
}

func (t *Times) defaults() {
	for _, d := range []struct {
		field    *time.Duration
		fallback time.Duration
	}{
		{&t.Start, 2 * time.Minute},
		{&t.Discover, 20 * time.Second},
		{&t.Stop, 30 * time.Second},
		{&t.Backoff, 250 * time.Millisecond},
		{&t.BackoffMax, time.Minute},
		{&t.Reset, 30 * time.Second},
		{&t.Ping, 30 * time.Second},
		{&t.Pong, 10 * time.Second},
		{&t.Call, time.Minute},
		{&t.List, 30 * time.Second},
		{&t.Wait, 5 * time.Second},
		{&t.Store, 10 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.fallback
		}
	}
}

// restartPolicy returns the policy for the restarts of a server.
func (t *Times) restartPolicy() supervise.Policy {
	return supervise.Policy{Initial: t.Backoff, Max: t.BackoffMax, JitterLow: 0.8, JitterHigh: 1, Reset: t.Reset}
}

// Servers stores the MCP servers and runs those that should run. It implements
// core.MCPServers.
type Servers struct {
	Options

	// ctx ends when all servers must stop.
	ctx  context.Context //nolint:containedctx // of the connections, which outlive the requests that start them
	stop context.CancelFunc
	work sync.WaitGroup

	mu sync.Mutex
	// servers are those that were started or requested since New.
	servers map[string]*server
	closed  bool
}

var _ core.MCPServers = (*Servers)(nil)

// New returns a Servers. Call Begin to start the MCP servers.
func New(o Options) *Servers {
	o.Limits.defaults()
	o.Times.defaults()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Servers{Options: o, servers: map[string]*server{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Begin starts the servers that should run. It does not wait until they are running.
func (s *Servers) Begin(ctx context.Context) error {
	toRun, err := s.Store.MCPServersToRun(ctx)
	if err != nil {
		return err
	}
	for _, stored := range toRun {
		if err := s.reconcile(ctx, stored.ID, false); err != nil {
			return err
		}
	}
	return nil
}

// Close ends all connections. It returns when they have ended or when ctx is done. It does not change
// which servers should run.
func (s *Servers) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	known := slices.Collect(maps.Values(s.servers))
	s.mu.Unlock()
	for _, v := range known {
		v.log.close()
		v.interrupt()
	}
	s.stop()
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// server returns the server with that ID. If there is none, it returns a new one or, if
// create is false, nil.
func (s *Servers) server(id string, create bool) *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.servers[id]
	if v == nil && create {
		v = newServer(s, id)
		if s.closed {
			v.log.close()
		}
		s.servers[id] = v
	}
	return v
}

// spawn runs f in a goroutine that Close waits for. It returns false after Close.
func (s *Servers) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(f)
	return true
}

// State implements core.MCPServers.
func (s *Servers) State(id string) core.MCPState {
	v := s.server(id, false)
	if v == nil {
		return core.MCPState{Status: core.MCPStopped}
	}
	return v.currentState()
}

// Counts returns the number of servers by status. It includes the servers that were
// started or requested since New.
func (s *Servers) Counts() map[core.MCPStatus]int {
	s.mu.Lock()
	known := slices.Collect(maps.Values(s.servers))
	s.mu.Unlock()
	counts := map[core.MCPStatus]int{}
	for _, v := range known {
		counts[v.currentState().Status]++
	}
	return counts
}

// Logs implements core.MCPServers.
func (s *Servers) Logs(ctx context.Context, id string, tail int, follow bool) iter.Seq[core.MCPLogLine] {
	v := s.server(id, follow)
	if v == nil {
		return func(func(core.MCPLogLine) bool) {}
	}
	return v.log.read(ctx, tail, follow)
}
