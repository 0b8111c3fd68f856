package mcp

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/supervise"
)

// server is the state of one MCP server on this host, running or not.
type server struct {
	servers *Servers
	id      string
	log     *logBuffer

	// reconciling is held while the stored server is read and applied, so that
	// the latest read is applied last.
	reconciling sync.Mutex

	mu sync.Mutex
	// desired is the endpoint that the server should run with; nil if it should not run.
	desired *endpoint
	// supervised reports whether loop runs.
	supervised bool
	// generation is the current generation; nil if there is none.
	generation *generation
	// session is the session on the main connection after its handshake; nil if there
	// is none.
	session *session
	state   core.MCPState
	// startError is the reason why a desired server cannot be started; empty otherwise.
	startError string
	// changed is closed at the next change of state; nil while nobody waits.
	changed chan struct{}
}

func newServer(servers *Servers, id string) *server {
	return &server{
		servers: servers, id: id, log: newLogBuffer(servers.Limits.Log), state: core.MCPState{Status: core.MCPStopped},
	}
}

func (s *server) currentState() core.MCPState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// setLocked changes the state and wakes everyone who waits for a change.
func (s *server) setLocked(change func(*core.MCPState)) {
	change(&s.state)
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// setDesired sets the endpoint of a server that should run, or nil for one that should not.
// It takes effect immediately, even during a backoff delay. restart restarts a server whose
// endpoint is unchanged.
func (s *server) setDesired(e *endpoint, restart bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e != nil && s.desired.same(e) && s.supervised && !restart {
		s.desired = e
		return
	}
	s.desired, s.startError = e, ""
	switch {
	case s.supervised:
		s.interruptLocked()
	case e != nil:
		s.supervised = s.servers.spawn(s.loop)
		if s.supervised {
			s.setLocked(func(st *core.MCPState) { *st = core.MCPState{Status: core.MCPStarting} })
		}
	default:
		s.setStoppedLocked()
	}
}

// interrupt ends the current generation.
func (s *server) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interruptLocked()
}

func (s *server) interruptLocked() {
	if s.generation == nil {
		return
	}
	status := core.MCPStopping
	if s.desired != nil && s.state.Status == core.MCPError { // only the pause before its next start ends
		status = core.MCPStarting
	}
	s.setLocked(func(st *core.MCPState) { st.Status, st.LastError = status, "" })
	s.generation.stop()
}

// setStartError stops the server and records why it cannot be started.
func (s *server) setStartError(reason string) {
	s.setDesired(nil, false)
	s.log.add(sourceHost, reason)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.startError = reason
	if !s.supervised {
		s.setStoppedLocked()
	}
}

// setStoppedLocked sets the state of a server that is not supervised.
func (s *server) setStoppedLocked() {
	s.setLocked(func(st *core.MCPState) {
		*st = core.MCPState{Status: core.MCPStopped}
		if s.startError != "" {
			*st = core.MCPState{Status: core.MCPError, LastError: s.startError}
		}
	})
}

// loop runs one generation after the other until the server should not run.
func (s *server) loop() {
	for {
		g := s.nextGeneration()
		if g == nil {
			return
		}
		g.supervise()
		g.end()
	}
}

// nextGeneration returns the next generation, or nil if the server should not run.
func (s *server) nextGeneration() *generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation, s.session = nil, nil
	if s.desired == nil || s.servers.ctx.Err() != nil {
		s.supervised = false
		s.setStoppedLocked()
		s.log.add(sourceHost, "stopped")
		return nil
	}
	g := &generation{server: s, endpoint: s.desired}
	g.ctx, g.stop = context.WithCancel(s.servers.ctx)
	s.generation = g
	s.setLocked(func(st *core.MCPState) { *st = core.MCPState{Status: core.MCPStarting} })
	return g
}

// generation is a period in which a server runs with one endpoint. All its connections
// end with it.
type generation struct {
	server   *server
	endpoint *endpoint
	// ctx ends when the server must stop or its endpoint changes.
	ctx  context.Context //nolint:containedctx // it is the lifetime of the generation
	stop context.CancelFunc
	// legacyOnly reports whether the last connection exited on server/discover, as
	// some old servers do. The next handshake then does not send it.
	legacyOnly bool

	// The server's mutex guards the following fields.

	// ended prevents further connections.
	ended       bool
	connections map[*connection]struct{}
	// dialed counts the open and opening connections without the main one.
	dialed int
	// openConns waits for all open and opening connections.
	openConns sync.WaitGroup
}

// supervise keeps a main connection open until the generation ends.
func (g *generation) supervise() {
	loop := supervise.Loop{
		Policy: g.server.servers.Times.restartPolicy(),
		Once:   g.run,
		Exited: g.onExit,
		Restarting: func() {
			g.set(func(st *core.MCPState) {
				st.Status = core.MCPStarting
				st.Restarts++
			})
		},
	}
	_ = loop.Run(g.ctx) // onExit has reported the error
}

// onExit reports a failed start or the end of the main connection, unless the generation has ended.
func (g *generation) onExit(ctx context.Context, e supervise.Exit) {
	s, reason := g.server, e.Err.Error()
	if !g.set(func(st *core.MCPState) {
		*st = core.MCPState{Status: core.MCPError, LastError: reason, Restarts: st.Restarts}
	}) {
		return
	}
	g.notify(core.LevelWarning, "failed and is being restarted")
	s.log.add(sourceHost, fmt.Sprintf("%s; restarting in %s", reason, e.Wait.Round(10*time.Millisecond)))
	s.servers.Logger.WarnContext(ctx, "MCP server failed",
		"server_id", s.id, "slug", g.endpoint.slug, "error", reason, "wait", e.Wait)
}

// set changes the server's state. It returns false and changes nothing if the generation
// has ended.
func (g *generation) set(change func(*core.MCPState)) bool {
	g.server.mu.Lock()
	defer g.server.mu.Unlock()
	if g.ctx.Err() != nil {
		return false
	}
	g.server.setLocked(change)
	return true
}

// end closes all connections and waits until they have ended.
func (g *generation) end() {
	g.stop()
	s := g.server
	s.mu.Lock()
	g.ended = true
	if s.desired == nil || s.state.Status != core.MCPStarting {
		s.setLocked(func(st *core.MCPState) { st.Status = core.MCPStopping })
	}
	connections := make([]*connection, 0, len(g.connections))
	for c := range g.connections {
		connections = append(connections, c)
	}
	s.mu.Unlock()
	for _, c := range connections {
		c.close("the MCP server was stopped")
	}
	g.openConns.Wait()
	if s.servers.ctx.Err() == nil {
		g.notify(core.LevelInfo, "stopped")
	}
}
