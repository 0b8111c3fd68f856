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
)

const (
	// revisionModern is the first of the revisions that have no ping, and
	// revisionOld the last before it.
	revisionModern = "2026-07-28"
	revisionOld    = "2025-11-25"
	// maxMisses is how many pings in a row may go unanswered.
	maxMisses = 3
)

// life is that of a main child, after its handshake.
type life struct {
	server  *server
	term    *term
	child   *child
	session *mcp.ClientSession
	times   Times

	// listing is held by who asks for the tools.
	listing chan struct{}

	mu sync.Mutex
	// tools is the last list; stale says that it is not to be used any more.
	tools []core.MCPTool
	stale bool
	// changes counts the server's words that its tools have changed, and freshUntil
	// ends what the list may be used for; zero is without end.
	changes    int
	freshUntil time.Time
	// calls are told of progress, by their tokens.
	calls    map[string]func()
	lastCall int
}

// live starts a main child and serves until it ends, hangs, or the term is over.
// It tells how long it was in service and why it ended.
func (t *term) live() (up time.Duration, reason string) {
	s := t.server
	ctx, cancel := context.WithTimeout(t.ctx, s.of.Times.Start)
	defer cancel()
	c, err := t.open(ctx, false)
	if err != nil {
		return 0, t.target.redact.told("it did not start: " + publicText(err))
	}
	l := &life{
		server: s, term: t, child: c, times: s.of.Times, stale: true,
		listing: make(chan struct{}, 1), calls: map[string]func(){},
	}
	defer l.end()
	info := c.conn.Info()
	t.set(func(st *core.MCPState) { st.PID, st.Sandbox = info.PID, info.Sandbox })
	w := &wire{child: c, patience: l.times.Discover}
	if err := l.shakeHands(ctx, w, t.old); err != nil {
		t.old = !t.old && c.hasDied() && w.unanswered()
		return 0, l.handshakeFailure(ctx, err)
	}
	began := time.Now()
	t.serve(l, began)
	l.watch(t.ctx)
	return time.Since(began), c.reason()
}

// shakeHands asks for the newest revision of MCP first, or with old for one of the
// old revisions only.
func (l *life) shakeHands(ctx context.Context, w *wire, old bool) (err error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "agentarea", Version: l.server.of.version()}, &mcp.ClientOptions{
		// What an agent can't answer is not offered: no roots, sampling or elicitation.
		Capabilities:           &mcp.ClientCapabilities{},
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { l.toolsChanged() },
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			l.progressed(r.Params.ProgressToken)
		},
		Logger: slog.New(slog.DiscardHandler), // it may say secrets
	})
	var o mcp.ClientSessionOptions
	if old {
		o.ProtocolVersion = revisionOld
	}
	l.session, err = client.Connect(ctx, w, &o)
	return err
}

func (s *Servers) version() string {
	if s.Version == "" {
		return "0"
	}
	return s.Version
}

// handshakeFailure says why there was no handshake: by the child's end, if that
// was the reason.
func (l *life) handshakeFailure(ctx context.Context, err error) string {
	var refused *jsonrpc.Error
	reason := "its handshake failed: " + err.Error()
	switch {
	case l.child.hasDied():
		return l.child.reason()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		reason = fmt.Sprintf("it did not answer within %s of its start", l.times.Start)
	case errors.As(err, &refused):
		reason = "it refused the handshake: " + refused.Message
	}
	return l.child.target.redact.told(reason)
}

// serve makes a life the server's.
func (t *term) serve(l *life, began time.Time) {
	s := t.server
	result := l.session.InitializeResult()
	news := ""
	s.mu.Lock()
	if t.ctx.Err() == nil {
		s.life = l
		s.setLocked(func(st *core.MCPState) {
			st.Status, st.StartedAt, news = core.MCPRunning, began.UTC(), "started"
			if st.Restarts > 0 {
				news = "restarted"
			}
		})
	}
	s.mu.Unlock()
	if news != "" {
		t.notify(core.LevelInfo, news)
	}
	name := "a server without a name"
	if i := result.ServerInfo; i != nil {
		name = i.Name + " " + i.Version
	}
	s.log.add(sourceHost, t.target.redact.told(fmt.Sprintf("running: %s, MCP %s", name, result.ProtocolVersion)))
	ctx, cancel := context.WithTimeout(t.ctx, l.times.Store)
	defer cancel()
	if err := s.of.Store.SetMCPCapabilities(ctx, s.id, capabilities(result.Capabilities)); err != nil && t.ctx.Err() == nil {
		s.of.Logger.WarnContext(ctx, "MCP server's capabilities not stored", "server_id", s.id, "error", err)
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
		{"logging", c.Logging != nil}, //nolint:staticcheck // servers of older revisions have it
	} {
		if has.it {
			out = append(out, has.name)
		}
	}
	return out
}

// watch returns when the child has ended or ctx has, or closes a child that
// does not answer any more.
func (l *life) watch(ctx context.Context) {
	ticks := time.NewTicker(l.times.Ping)
	defer ticks.Stop()
	for misses := 0; ; {
		select {
		case <-l.child.gone:
			return
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if l.answers(ctx) {
			misses = 0
			continue
		}
		if misses++; misses == maxMisses && ctx.Err() == nil {
			l.child.close(fmt.Sprintf("it hangs: %d times it did not answer within %s", maxMisses, l.times.Pong))
			return
		}
	}
}

// answers says whether the server answers; a refusal is an answer too.
func (l *life) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, l.times.Pong)
	defer cancel()
	var err error
	if l.session.InitializeResult().ProtocolVersion < revisionModern {
		err = l.session.Ping(ctx, nil)
	} else {
		_, err = mcp.CallCustomMethod[*mcp.DiscoverParams, *mcp.DiscoverResult](ctx, l.session, methodDiscover, &mcp.DiscoverParams{})
	}
	return err == nil || ctx.Err() == nil
}

// end takes the life from the server, and waits until its child is gone.
func (l *life) end() {
	s := l.server
	s.mu.Lock()
	if s.life == l {
		s.life = nil
	}
	s.mu.Unlock()
	l.child.close("the MCP server was stopped")
	<-l.child.gone
	if l.session != nil {
		_ = l.session.Close() // it was closed by its end
	}
}
