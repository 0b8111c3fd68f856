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
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// Transports finds the mcp plugins.
type Transports interface {
	// MCPTransport gives the mcp plugin of that label. It waits a little while the
	// plugin is being started, and fails with Unavailable after that.
	MCPTransport(ctx context.Context, label string) (mcptransport.Transport, error)
	// Plugins gives all stanzas in the order of plugins.hcl.
	Plugins() []core.Plugin
}

// Options are what Servers are made of. Limits, Times, Commands and Version may
// be left out.
type Options struct {
	Store      core.MCPServerStore
	Encrypter  core.Encrypter
	Transports Transports
	// Commands are those that a server may be, word for word; empty for any.
	Commands []string
	// Version is the platform's, which servers are told.
	Version string
	Limits  Limits
	Times   Times
	// Notifier tells people when servers start, fail and stop; may be left out.
	Notifier core.Notifier
	Logger   *slog.Logger
}

// Limits are how much of something there may be; zero is the default.
type Limits struct {
	// Children is how many connections a server may have besides its main one: 64.
	Children int
	// Log is how many bytes of a server's log are kept: 1 MiB.
	Log int
	// Text and Blobs are how many bytes of text and of images the result of a
	// tool may have for an agent: 256 KiB and 4 MiB.
	Text, Blobs int
	// Tools is how many tools of a server are taken: 1000.
	Tools int
}

// Times are how long things may take; zero is the default.
type Times struct {
	// Start is for a child's start and its handshake: 2 min, for a first npx
	// downloads what it runs.
	Start time.Duration
	// Discover is how long a server may keep silent before it is asked as the old
	// revisions of MCP do: 20 s.
	Discover time.Duration
	// Stop is how long a child may take to end before it is forgotten: 30 s.
	Stop time.Duration
	// Backoff is the first pause after a crash (250 ms); it doubles to BackoffMax
	// (60 s), and begins anew after a life of Reset (30 s).
	Backoff, BackoffMax, Reset time.Duration
	// Ping is how often a server is asked whether it still answers (30 s), and
	// Pong how long it may take to (10 s). After three misses it is restarted.
	Ping, Pong time.Duration
	// Call is how long a tool may take, from the last that it told of its progress
	// (60 s), and List how long the list of tools may (30 s).
	Call, List time.Duration
	// Patience is how long somebody who needs a server waits while it starts: 5 s.
	Patience time.Duration
	// Store is for a short call of the database that no caller waits for: 10 s.
	Store time.Duration
}

func (l *Limits) defaults() {
	for _, n := range []struct {
		field    *int
		fallback int
	}{
		{&l.Children, 64},
		{&l.Log, 1 << 20},
		{&l.Text, 256 << 10},
		{&l.Blobs, 4 << 20},
		{&l.Tools, 1000},
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
		{&t.Patience, 5 * time.Second},
		{&t.Store, 10 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.fallback
		}
	}
}

// Servers keeps the MCP servers and runs those that are wanted. It implements
// core.MCPServers.
type Servers struct {
	Options

	// ctx ends when everything is to stop.
	ctx  context.Context //nolint:containedctx // of the children, which outlive the requests that start them
	stop context.CancelFunc
	work sync.WaitGroup

	mu sync.Mutex
	// known are the servers that were wanted or asked for since the start.
	known  map[string]*server
	closed bool
}

var _ core.MCPServers = (*Servers)(nil)

// New makes Servers. Begin starts those that are wanted.
func New(o Options) *Servers {
	o.Limits.defaults()
	o.Times.defaults()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Servers{Options: o, known: map[string]*server{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Begin starts the servers that are wanted. It does not wait until they run.
func (s *Servers) Begin(ctx context.Context) error {
	wanted, err := s.Store.MCPServersToRun(ctx)
	if err != nil {
		return err
	}
	for _, stored := range wanted {
		if err := s.follow(ctx, stored.ID, false); err != nil {
			return err
		}
	}
	return nil
}

// Close ends all children and waits for their end, or for ctx's. What is wanted
// stays so.
func (s *Servers) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	known := slices.Collect(maps.Values(s.known))
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

// server gives the one of that id; create says to make what is not there.
func (s *Servers) server(id string, create bool) *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.known[id]
	if v == nil && create {
		v = newServer(s, id)
		if s.closed {
			v.log.close()
		}
		s.known[id] = v
	}
	return v
}

// spawn does something until Close; it says no after that.
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
	return v.now()
}

// Counts gives how many servers there are in each status, of those that were wanted or
// asked for since the start.
func (s *Servers) Counts() map[core.MCPStatus]int {
	s.mu.Lock()
	known := slices.Collect(maps.Values(s.known))
	s.mu.Unlock()
	counts := map[core.MCPStatus]int{}
	for _, v := range known {
		counts[v.now().Status]++
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
