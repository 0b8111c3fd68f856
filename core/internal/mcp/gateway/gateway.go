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

// Servers provides the MCP servers that the gateway serves.
type Servers interface {
	// Find returns the server with the slug. It fails with CodeNotFound when the server does
	// not exist or the actor may not see it.
	Find(ctx context.Context, v core.Actor, slug string) (*core.MCPServer, error)
	// Dial opens a new connection to the server. ctx limits only the opening. The connection
	// closes when the server is stopped, deleted or changed. Dial fails with CodeUnavailable
	// when the server is disabled, or with the error that prevents the server from starting.
	Dial(ctx context.Context, id string) (Conn, error)
}

// Conn is a connection to an MCP server. It carries complete JSON-RPC messages.
type Conn interface {
	// Send sends one message, which has no line breaks between its tokens. Send is safe for
	// concurrent use.
	Send(ctx context.Context, message []byte) error
	// Receive returns the next message. Once the connection has closed, every call returns an
	// error. Receive is called by one goroutine.
	Receive(ctx context.Context) ([]byte, error)
	// Close closes the connection and releases its resources. It may be called at any time and
	// more than once.
	Close() error
}

// Auth authenticates clients.
type Auth interface {
	// Verify returns the principal that the access token belongs to. It fails with
	// CodeUnauthorized when the token is invalid.
	Verify(ctx context.Context, accessToken string) (*core.Principal, error)
	// Live returns the principal of the login. It fails with CodeUnauthorized when the login
	// has ended.
	Live(ctx context.Context, loginID string) (*core.Principal, error)
}

// Times configures the timeouts and intervals of a Gateway. A zero or negative value selects
// the default.
type Times struct {
	// Call is the maximum time for an MCP server to answer a call. A progress notification
	// restarts the timeout. The default is 60 s.
	Call time.Duration
	// Start limits the start of an MCP server including its handshake. The default is 3 min,
	// because the first run of npx can take more than one minute.
	Start time.Duration
	// Probe is the maximum time for an MCP server to answer server/discover. The default is 10 s.
	Probe time.Duration
	// Send is the maximum time for an MCP server to read a message. The default is 10 s.
	Send time.Duration
	// Idle is the maximum time that a session or a shared upstream stays open without a call. The
	// default is 10 min.
	Idle time.Duration
	// Answer is the maximum time for a client to answer a request of an MCP server. It allows for
	// a person who types the answer. The default is 10 min.
	Answer time.Duration
	// Recheck is the interval at which the gateway checks that the logins of sessions and
	// streams are still valid. The default is 4 s.
	Recheck time.Duration
	// Heartbeat is the interval between comments on a stream that has no messages. The default
	// is 15 s.
	Heartbeat time.Duration
	// Write is the maximum time for a client to read one write. The default is 60 s.
	Write time.Duration

	// firstMessage is the maximum time that a response waits for its first message before it sends
	// its headers alone.
	firstMessage time.Duration
}

// Limits configures the limits of a Gateway. A zero or negative value selects the default.
type Limits struct {
	// Sessions is the maximum number of sessions of one user on one server. One more session
	// ends the one that has been idle longest, if any is idle. The default is 8.
	Sessions int
	// TotalSessions is the maximum number of sessions of all users. The default is 256.
	TotalSessions int
	// Calls is the maximum number of concurrent calls in one session, and of one user to one
	// shared upstream. The default is 256.
	Calls int
	// Body is the maximum size of a request body in bytes. The default is 16 MiB.
	Body int64
	// Buffer is the maximum number of bytes that a stream buffers for its client, and that a
	// session keeps of finished streams for a client that reconnects. The default is 1 MiB for
	// each. A single message may be longer.
	Buffer int
	// Parked is the maximum number of calls of one user that wait for client input when the
	// protocol revisions of client and server differ. The default is 16.
	Parked int
}

// Options configures a Gateway. Servers, Auth and WriteError are required.
type Options struct {
	Servers Servers
	Auth    Auth
	// WriteError answers a request with an error in the format of the API. status replaces the status of
	// the error's code, unless it is 0. A WWW-Authenticate header that is set already is kept.
	WriteError func(w http.ResponseWriter, r *http.Request, err error, status int)
	// PublicURL is the URL of the API for clients, such as https://agents.example.com. It may
	// be empty.
	PublicURL string
	// Origins lists the origins of web pages that may call the gateway, in addition to its own
	// origin.
	Origins []string
	Times   Times
	Limits  Limits
	Logger  *slog.Logger
}

// Gateway is the HTTP handler of the paths below /mcp/ and of their RFC 9728 metadata. Close it
// after the HTTP server has stopped.
type Gateway struct {
	servers Servers
	auth    Auth
	public  *url.URL
	origins []string
	times   Times
	limits  Limits
	logger  *slog.Logger

	writeAPIError func(w http.ResponseWriter, r *http.Request, err error, status int)

	ctx  context.Context //nolint:containedctx // connections outlive the requests that open them
	stop context.CancelFunc
	work sync.WaitGroup

	mu       sync.Mutex
	sessions map[string]*session
	// sessionCounts has the number of sessions per user and server, and sessionTotal is their
	// sum.
	sessionCounts map[string]int
	sessionTotal  int
	// shared maps a server ID to the upstream that the modern clients of the server share.
	shared map[string]*sharedUpstream
	// modernOnly contains the servers, by revisionKey, that support no legacy revision.
	modernOnly map[string]bool
	// loginWatches contains the callbacks per login ID.
	loginWatches map[string]map[*loginWatch]struct{}
}

// New returns a Gateway and starts its periodic checks. Close stops them.
func New(o Options) *Gateway {
	g := &Gateway{
		servers: o.Servers, auth: o.Auth, origins: o.Origins, logger: o.Logger, writeAPIError: o.WriteError,
		times: o.Times.withDefaults(), limits: o.Limits.withDefaults(),
		sessions: map[string]*session{}, sessionCounts: map[string]int{},
		modernOnly: map[string]bool{}, shared: map[string]*sharedUpstream{},
		loginWatches: map[string]map[*loginWatch]struct{}{},
	}
	if g.logger == nil {
		g.logger = slog.New(slog.DiscardHandler)
	}
	if u, err := url.Parse(strings.TrimSuffix(o.PublicURL, "/")); err == nil && u.Host != "" {
		g.public = u
	}
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.work.Go(g.runChecks)
	return g
}

// ServeHTTP answers a request of an MCP client. It does not redirect, and answers other paths with an error.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, isMetadata := strings.CutPrefix(r.URL.EscapedPath(), metadataPath)
	slug, ok := slugOf(path)
	switch {
	case !ok:
		g.notFound(w, r)
	case isMetadata:
		g.metadata(w, r)
	default:
		g.serve(w, r, slug)
	}
}

// slugOf returns the slug in an escaped path /mcp/{slug}/mcp, with or without a slash at its end. It returns
// false for any other path.
func slugOf(path string) (slug string, ok bool) {
	rest, hasPrefix := strings.CutPrefix(path, "/mcp/")
	escaped, end, _ := strings.Cut(rest, "/")
	if !hasPrefix || escaped == "" || end != "mcp" && end != "mcp/" {
		return "", false
	}
	slug, err := url.PathUnescape(escaped)
	return slug, err == nil
}

// Close ends all sessions and streams, and waits until their connections are closed.
func (g *Gateway) Close() {
	g.stop()
	for _, s := range g.allSessions() {
		s.close("the gateway is shutting down")
	}
	for _, s := range g.allShared() {
		s.close()
	}
	g.work.Wait()
}

// withDefaults returns t with defaults for values that are not positive.
func (t Times) withDefaults() Times {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
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
		{&t.firstMessage, 20 * time.Millisecond},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return t
}

// withDefaults returns l with defaults for values that are not positive.
func (l Limits) withDefaults() Limits {
	for _, n := range []struct {
		field *int
		value int
	}{
		{&l.Sessions, 8},
		{&l.TotalSessions, 256},
		{&l.Calls, 256},
		{&l.Buffer, 1 << 20},
		{&l.Parked, 16},
	} {
		if *n.field <= 0 {
			*n.field = n.value
		}
	}
	if l.Body <= 0 {
		l.Body = 16 << 20
	}
	return l
}
