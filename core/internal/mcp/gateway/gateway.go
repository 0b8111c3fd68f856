package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// Servers are the MCP servers that the gateway serves.
type Servers interface {
	// Find fails with NotFound for what the viewer does not see.
	Find(ctx context.Context, v core.Actor, slug string) (*core.MCPServer, error)
	// Dial opens a connection of its own to a server; ctx is for the opening only.
	// The connection ends with the server: when it is stopped, deleted or changed.
	// It fails with Unavailable for a server that is not to run, or with what keeps
	// the server from starting.
	Dial(ctx context.Context, id string) (Child, error)
}

// Child is a connection to an MCP server. It carries whole JSON-RPC messages.
type Child interface {
	// Send sends one message, without line breaks between its tokens. It may be
	// called by several goroutines at once.
	Send(ctx context.Context, message []byte) error
	// Receive gives the next message, or an error, from then on, when the
	// connection has ended. One goroutine calls it.
	Receive(ctx context.Context) ([]byte, error)
	// Close ends the connection with all that belongs to it. It may be called at
	// any time, and again.
	Close() error
}

// Auth tells who a client is.
type Auth interface {
	// Verify says who an access token belongs to. It fails with Unauthorized.
	Verify(ctx context.Context, accessToken string) (*core.Principal, error)
	// Live fails with Unauthorized once the login has ended.
	Live(ctx context.Context, loginID string) (*core.Principal, error)
}

// Times are how long things may take; a zero is the default.
type Times struct {
	// Call is how long a child may take for a call, from the last that it told of
	// its progress: 60 s.
	Call time.Duration
	// Start is for a child's start and its handshake: 3 min, for a first npx takes
	// over one.
	Start time.Duration
	// Probe is how long a child may take to say that it knows the modern era: 10 s.
	Probe time.Duration
	// Send is how long a child may take to read a message: 10 s.
	Send time.Duration
	// Idle is after how long without a call a session, or the child that the modern
	// clients share, ends: 10 min.
	Idle time.Duration
	// Answer is how long a client may take to answer a child's request, as for
	// something that a person types: 10 min.
	Answer time.Duration
	// Recheck is how often the logins of sessions and streams are looked at: 4 s.
	Recheck time.Duration
	// Heartbeat is how long an open stream may be silent: 15 s.
	Heartbeat time.Duration
	// Write is how long a client may take to read what is written: 60 s.
	Write time.Duration

	// first is how long a response waits for its first message before its headers
	// go out alone.
	first time.Duration
}

// Limits are how much of something there may be; a zero is the default.
type Limits struct {
	// Sessions of one user with one server: 8. One more ends the one that was idle
	// longest, if one is idle.
	Sessions int
	// TotalSessions of all users: 256.
	TotalSessions int
	// Calls under way in one session, or to one shared child by one user: 256.
	Calls int
	// Body is how many bytes a request may have: 16 MiB.
	Body int64
	// Buffer is how many bytes of a stream wait for a client, and how many of a
	// session's stay for one that comes back: 1 MiB each. A message may be longer.
	Buffer int
	// Parked is how many calls of a user may wait for the client's input where the
	// eras differ: 16.
	Parked int
}

// Options are what a Gateway is made of.
type Options struct {
	Servers Servers
	Auth    Auth
	// PublicURL is how clients reach the API, as https://agents.example.com; may
	// be empty.
	PublicURL string
	// Origins are those of web pages that may call the gateway, besides its own.
	Origins []string
	Times   Times
	Limits  Limits
	Logger  *slog.Logger
}

// Gateway is the handler of the paths below /mcp/, and of their RFC 9728
// metadata. Close it after the HTTP server.
type Gateway struct {
	servers Servers
	auth    Auth
	public  *url.URL
	origins []string
	times   Times
	limits  Limits
	logger  *slog.Logger
	mux     *http.ServeMux

	ctx  context.Context //nolint:containedctx // of the children, which outlive the requests that start them
	stop context.CancelFunc
	work sync.WaitGroup

	mu       sync.Mutex
	sessions map[string]*session
	// places counts the sessions of a user with a server, and taken all.
	places map[string]int
	taken  int
	// shared are the children of modern clients, by their server's id.
	shared map[string]*shared
	// modernOnly are the servers, by id and version, that know no older revision.
	modernOnly map[string]bool
	watched    map[string]map[*watch]struct{}
}

// New makes a gateway, which runs until Close.
func New(o Options) *Gateway {
	g := &Gateway{
		servers: o.Servers, auth: o.Auth, origins: o.Origins, logger: o.Logger,
		times: o.Times.withDefaults(), limits: o.Limits.withDefaults(),
		sessions: map[string]*session{}, places: map[string]int{}, modernOnly: map[string]bool{}, shared: map[string]*shared{}, watched: map[string]map[*watch]struct{}{},
	}
	if g.logger == nil {
		g.logger = slog.New(slog.DiscardHandler)
	}
	if u, err := url.Parse(strings.TrimSuffix(o.PublicURL, "/")); err == nil && u.Host != "" {
		g.public = u
	}
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.mux = http.NewServeMux()
	g.mux.HandleFunc("/mcp/{slug}/mcp", g.serve)
	g.mux.HandleFunc("/mcp/{slug}/mcp/{$}", g.serve)
	g.mux.HandleFunc(metadataPath+"/mcp/{slug}/mcp", g.metadata)
	g.mux.HandleFunc(metadataPath+"/mcp/{slug}/mcp/{$}", g.metadata)
	g.work.Go(g.watch)
	return g
}

// ServeHTTP answers an MCP client.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

// Close ends every session and stream, and returns when their children have
// been closed.
func (g *Gateway) Close() {
	g.stop()
	for _, s := range g.allSessions() {
		s.close("the gateway is closing")
	}
	for _, s := range g.allShared() {
		s.close()
	}
	g.work.Wait()
}

func (t Times) withDefaults() Times {
	for _, d := range []struct {
		of       *time.Duration
		standard time.Duration
	}{
		{&t.Call, time.Minute},
		{&t.Start, 3 * time.Minute},
		{&t.Probe, 10 * time.Second},
		{&t.Send, 10 * time.Second},
		{&t.Idle, 10 * time.Minute},
		{&t.Answer, 10 * time.Minute},
		{&t.Recheck, 4 * time.Second},
		{&t.Heartbeat, 15 * time.Second},
		{&t.Write, time.Minute},
		{&t.first, 20 * time.Millisecond},
	} {
		if *d.of <= 0 {
			*d.of = d.standard
		}
	}
	return t
}

func (l Limits) withDefaults() Limits {
	for _, n := range []struct {
		of       *int
		standard int
	}{
		{&l.Sessions, 8},
		{&l.TotalSessions, 256},
		{&l.Calls, 256},
		{&l.Buffer, 1 << 20},
		{&l.Parked, 16},
	} {
		if *n.of <= 0 {
			*n.of = n.standard
		}
	}
	if l.Body <= 0 {
		l.Body = 16 << 20
	}
	return l
}
