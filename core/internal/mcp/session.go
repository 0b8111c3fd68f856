package mcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/supervise"
)

const (
	// revisionModern is the first protocol revision without ping. revisionOld is
	// the last one before it.
	revisionModern = "2026-07-28"
	revisionOld    = "2025-11-25"
	// maxMisses is the number of failed pings in a row after which the server is restarted.
	maxMisses = 3
)

// session is the MCP session on a main connection.
type session struct {
	server     *server
	generation *generation
	conn       *connection
	client     *mcp.ClientSession
	times      Times

	// listLock is held while the tools are listed.
	listLock chan struct{}

	mu sync.Mutex
	// tools is the last list. stale reports whether it must not be used any more.
	tools []core.MCPTool
	stale bool
	// tooLarge is the error of the last list, if it exceeded the limit.
	tooLarge error
	// changes counts the server's notifications about changed tools. The list may
	// be used until freshUntil; a zero value means no limit.
	changes    int
	freshUntil time.Time
	// calls holds the progress callbacks by progress token.
	calls    map[string]func()
	lastCall int
}

// run opens a main connection and serves until it ends, hangs, or the generation ends with ctx. It
// returns how long the session was running and why it ended. The error contains no secrets.
func (g *generation) run(ctx context.Context) (up time.Duration, err error) {
	s := g.server
	s.log.add(sourceHost, "starting")
	startCtx, cancel := context.WithTimeout(ctx, s.servers.Times.Start)
	defer cancel()
	c, err := g.open(startCtx, false)
	if err != nil {
		return 0, errors.New(g.endpoint.redactor.redact("it failed to start: " + publicMessage(err)))
	}
	l := &session{
		server: s, generation: g, conn: c, times: s.servers.Times, stale: true,
		listLock: make(chan struct{}, 1), calls: map[string]func(){},
	}
	defer l.end()
	info := c.raw.Info()
	g.set(func(st *core.MCPState) { st.PID, st.Sandbox = info.PID, info.Sandbox })
	w := &clientTransport{conn: c, discoverTimeout: l.times.Discover, maxList: s.servers.Limits.List}
	if err := l.handshake(startCtx, w, g.legacyOnly); err != nil {
		g.legacyOnly = !g.legacyOnly && c.exitedOnItsOwn() && w.discoverUnanswered()
		return 0, errors.New(l.handshakeFailure(startCtx, err))
	}
	began := time.Now()
	g.setRunning(ctx, l, began)
	l.watch(ctx)
	return time.Since(began), errors.New(c.exitReason())
}

// handshake tries the newest protocol revision first. With old, it only tries the older
// revisions.
func (sess *session) handshake(ctx context.Context, w *clientTransport, old bool) (err error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "agentarea", Version: sess.server.servers.version()},
		&mcp.ClientOptions{
			// Roots, sampling and elicitation are not offered, because agents cannot answer them.
			Capabilities:           &mcp.ClientCapabilities{},
			ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { sess.onToolsChanged() },
			ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
				sess.onProgress(r.Params.ProgressToken)
			},
			Logger: slog.New(slog.DiscardHandler), // its records may contain secrets
		})
	var o mcp.ClientSessionOptions
	if old {
		o.ProtocolVersion = revisionOld
	}
	sess.client, err = client.Connect(ctx, w, &o)
	return err
}

func (s *Servers) version() string {
	if s.Version == "" {
		return "0"
	}
	return s.Version
}

// handshakeFailure describes a failed handshake. If the connection has ended, it describes the end.
func (sess *session) handshakeFailure(ctx context.Context, err error) string {
	var refused *jsonrpc.Error
	reason := "the MCP handshake failed: " + err.Error()
	switch {
	case sess.conn.exitedOnItsOwn():
		return sess.conn.exitReason()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		reason = fmt.Sprintf("it did not complete the MCP handshake within %s", sess.times.Start)
	case errors.As(err, &refused):
		reason = "it rejected the MCP handshake: " + refused.Message
	}
	return sess.conn.endpoint.redactor.redact(reason)
}

// setRunning records that the session is running, and stores the server's capabilities.
func (g *generation) setRunning(ctx context.Context, l *session, began time.Time) {
	s := g.server
	result := l.client.InitializeResult()
	event := ""
	s.mu.Lock()
	if ctx.Err() == nil {
		s.session = l
		s.setLocked(func(st *core.MCPState) {
			st.Status, st.StartedAt, event = core.MCPRunning, began.UTC(), "started"
			if st.Restarts > 0 {
				event = "restarted"
			}
		})
	}
	s.mu.Unlock()
	if event != "" {
		g.notify(core.LevelInfo, event)
	}
	name := "unnamed server"
	if i := result.ServerInfo; i != nil {
		name = i.Name + " " + i.Version
	}
	s.log.add(sourceHost, g.endpoint.redactor.redact(fmt.Sprintf("running: %s, MCP %s", name, result.ProtocolVersion)))
	storeCtx, cancel := context.WithTimeout(ctx, l.times.Store)
	defer cancel()
	if err := s.servers.Store.SetMCPCapabilities(storeCtx, s.id, capabilities(result.Capabilities)); err != nil &&
		ctx.Err() == nil {
		s.servers.Logger.WarnContext(ctx, "storing MCP server capabilities failed", "server_id", s.id, "error", err)
	}
}

func capabilities(c *mcp.ServerCapabilities) []string {
	out := []string{}
	if c == nil {
		return out
	}
	for _, has := range []struct {
		name string
		it   bool
	}{
		{"tools", c.Tools != nil},
		{"resources", c.Resources != nil},
		{"prompts", c.Prompts != nil},
		{"completions", c.Completions != nil},
		{"logging", c.Logging != nil}, //nolint:staticcheck // servers of older revisions support it
	} {
		if has.it {
			out = append(out, has.name)
		}
	}
	return out
}

// watch pings the server until the connection or ctx ends. It closes the connection of a
// server that does not answer.
func (sess *session) watch(ctx context.Context) {
	health := supervise.Health{Every: sess.times.Ping, Timeout: sess.times.Pong, Misses: maxMisses, Probe: sess.ping}
	if health.Watch(ctx, sess.conn.done) {
		sess.conn.close(fmt.Sprintf("it is not responding: %d pings in a row got no answer within %s",
			maxMisses, sess.times.Pong))
	}
}

// ping returns nil if the server answers before ctx ends. An error response is an answer, too.
func (sess *session) ping(ctx context.Context) error {
	var err error
	if sess.client.InitializeResult().ProtocolVersion < revisionModern {
		err = sess.client.Ping(ctx, nil)
	} else {
		_, err = mcp.CallCustomMethod[*mcp.DiscoverParams, *mcp.DiscoverResult](ctx, sess.client, methodDiscover,
			&mcp.DiscoverParams{})
	}
	if err == nil {
		return nil
	}
	return ctx.Err()
}

// end detaches the session from the server and waits until its connection has ended.
func (sess *session) end() {
	s := sess.server
	s.mu.Lock()
	if s.session == sess {
		s.session = nil
	}
	s.mu.Unlock()
	sess.conn.close("the MCP server was stopped")
	<-sess.conn.done
	if sess.client != nil {
		_ = sess.client.Close() // the connection is closed already
	}
}
