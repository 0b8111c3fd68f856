package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/agentarea/agentarea/core"
)

// Auth signs users in and says who a token belongs to.
type Auth interface {
	// Login fails with Unauthorized, RateLimited or Unavailable.
	Login(ctx context.Context, username, password, address string) (*core.Tokens, error)
	// Refresh takes a refresh token and gives the next. It fails with Unauthorized.
	Refresh(ctx context.Context, refreshToken string) (*core.Tokens, error)
	// Renew gives fresh tokens of a live login. It fails with Unauthorized.
	Renew(ctx context.Context, loginID string) (*core.Tokens, error)
	// Logout ends a login with every token of it.
	Logout(ctx context.Context, loginID string) error
	// Verify says who an access token belongs to. It fails with Unauthorized.
	Verify(ctx context.Context, accessToken string) (*core.Principal, error)
	// Live says whose credential it is, and fails with Unauthorized once it has ended.
	Live(ctx context.Context, credential string) (*core.Principal, error)
	// CreateUser checks and stores a new user, and fills in the rest of u. It
	// fails with Invalid or Conflict.
	CreateUser(ctx context.Context, u *core.User, password string) error
	// UpdateUser fails with Invalid, NotFound or Conflict.
	UpdateUser(ctx context.Context, id string, up core.UserUpdate) (*core.User, error)
	// ResetPassword gives a user another password, and ends their sign-ins. It fails
	// with Invalid or NotFound.
	ResetPassword(ctx context.Context, id, password string) error
	// ChangePassword does so for who knows the present one; the sign-in that is used
	// stays. It fails with Invalid or RateLimited.
	ChangePassword(ctx context.Context, p *core.Principal, current, password string) error
	// CreateAPIKey checks and stores a new key, fills in the rest of k and gives the
	// key itself. It fails with Invalid or Conflict.
	CreateAPIKey(ctx context.Context, k *core.APIKey) (string, error)
	// DeleteAPIKey fails with NotFound.
	DeleteAPIKey(ctx context.Context, v core.Actor, id string) error
}

// Runs reads runs; core.RunStore is one.
type Runs interface {
	// Run fails with NotFound.
	Run(ctx context.Context, v core.Actor, id string) (*core.Run, error)
}

// Limits keep clients from asking too much.
type Limits interface {
	// Admit counts a request under a key, by the limits of a role or, without one, of
	// strangers, and puts in the headers how they stand. It fails with RateLimited.
	Admit(r *http.Request, h http.Header, key string, role core.Role) error
}

// Check is a part that must be up for the server to be ready.
type Check struct {
	Name string
	// Degrades says that without the part the server is ready all the same, as it can do
	// other things.
	Degrades bool
	// Ready is nil when it is. The message of a core.Error is shown to everybody.
	Ready func(ctx context.Context) error
}

// Options are what the API stands on.
type Options struct {
	Auth Auth
	// Limits may be left out.
	Limits   Limits
	Users    core.UserStore
	Keys     core.APIKeyStore
	Audit    core.AuditStore
	Agents   core.AgentStore
	Sessions core.SessionStore
	Messages core.MessageStore
	Runs     Runs
	Runner   core.Runner
	Tasks    core.TaskStore
	Usage    core.UsageStore
	// Hub hands out what the WebSocket's clients watch.
	Hub core.NotificationHub
	// Draining is closed when the server stops: WebSockets end then.
	Draining <-chan struct{}
	Plugins  core.Plugins
	// Files carries the bytes of files, and FileStore knows what they are.
	Files     core.Files
	FileStore core.FileStore
	// MCPServers runs the MCP servers, and MCPServerStore knows what they are.
	MCPServers     core.MCPServers
	MCPServerStore core.MCPServerStore
	Reloader       core.PluginReloader
	// Gateway serves MCP clients below /mcp/, and the metadata of its resources; none
	// unless set.
	Gateway http.Handler
	// Version is the server's.
	Version string
	// PublicURL is where clients reach the server; empty when unknown. Over
	// https it makes browsers stay there.
	PublicURL string
	// MCPURL is where clients reach /mcp/, when that is elsewhere: like
	// http://localhost:81. PublicURL unless set.
	MCPURL string
	// Checks are asked by /health/ready.
	Checks []Check
	// MaxBody bounds JSON bodies, in bytes; 1 MiB unless set.
	MaxBody int64
	// MaxUpload is how many bytes a file may have, by which an upload that says
	// its length is refused at once; 2 GiB unless set. Files keeps the limit.
	MaxUpload int64
	// Observer watches requests; may be left out.
	Observer Observer
	// Logger gets a line for each request; slog.Default unless set.
	Logger *slog.Logger
}

type api struct {
	auth      Auth
	limits    Limits
	users     core.UserStore
	keys      core.APIKeyStore
	audits    core.AuditStore
	agents    core.AgentStore
	sessions  core.SessionStore
	messages  core.MessageStore
	runs      Runs
	runner    core.Runner
	tasks     core.TaskStore
	usage     core.UsageStore
	hub       core.NotificationHub
	sockets   *sockets
	plugins   core.Plugins
	files     core.Files
	fileStore core.FileStore
	mcp       core.MCPServers
	mcpStore  core.MCPServerStore
	reloader  core.PluginReloader
	version   string
	publicURL string
	mcpURL    string
	checks    []Check
	maxBody   int64
	maxUpload int64
	observer  Observer
	log       *slog.Logger
	schemas   configSchemas
	// heartbeat is how long a stream may be silent, and recheck how often a
	// stream asks whether its login still lives.
	heartbeat, recheck time.Duration
	// patience is how long a client may send nothing of an upload, or read
	// nothing of a download.
	patience time.Duration

	huma   huma.API
	router chi.Router
}

// Handlers are what is to be served.
type Handlers struct {
	// All is everything, and MCP the gateway alone.
	All, MCP http.Handler
}

// New makes the handlers.
func New(o Options) Handlers {
	a := newAPI(o)
	h := Handlers{All: a.router}
	if o.Gateway != nil {
		h.MCP = a.observe(a.limit(labelled(o.Gateway)))
	}
	return h
}

func newAPI(o Options) *api {
	a := &api{
		auth: o.Auth, limits: o.Limits, users: o.Users, keys: o.Keys, audits: o.Audit, agents: o.Agents, sessions: o.Sessions, messages: o.Messages,
		runs: o.Runs, runner: o.Runner, tasks: o.Tasks, usage: o.Usage, hub: o.Hub, plugins: o.Plugins,
		files: o.Files, fileStore: o.FileStore, mcp: o.MCPServers, mcpStore: o.MCPServerStore, reloader: o.Reloader,
		version: o.Version, publicURL: strings.TrimSuffix(o.PublicURL, "/"), checks: o.Checks,
		mcpURL:  strings.TrimSuffix(cmp.Or(o.MCPURL, o.PublicURL), "/"),
		maxBody: o.MaxBody, maxUpload: o.MaxUpload, observer: o.Observer, log: o.Logger,
		heartbeat: 15 * time.Second, recheck: 4 * time.Second, patience: time.Minute,
		router: chi.NewMux(),
	}
	if a.maxBody == 0 {
		a.maxBody = 1 << 20
	}
	if a.maxUpload == 0 {
		a.maxUpload = 2 << 30
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	if a.observer == nil {
		a.observer = noObserver{}
	}
	a.router.Use(a.observe, a.limit, middleware.GetHead)
	a.router.NotFound(a.notFound)
	a.router.MethodNotAllowed(a.methodNotAllowed)
	a.huma = huma.NewAPI(a.config(), bothSlashes{humachi.NewAdapter(a.router)})
	a.huma.UseMiddleware(a.audit, a.authenticate, a.checkText, a.readBody)
	a.registerAll()
	if o.Draining != nil {
		go func() {
			<-o.Draining
			a.sockets.stop()
		}()
	}
	a.serveDocs()
	if o.Gateway != nil {
		a.serveGateway(o.Gateway)
	}
	return a
}

func (a *api) registerAll() {
	a.registerHealth()
	a.registerAuth()
	a.registerUsers()
	a.registerAPIKeys()
	a.registerAudit()
	a.registerAgents()
	a.registerChat()
	a.registerHistory()
	a.registerSessions()
	a.registerRuns()
	a.registerTasks()
	a.registerWebSocket()
	a.registerFiles()
	a.registerUpload()
	a.registerDownload()
	a.registerFileMove()
	a.registerMCPServers()
	a.registerMCPActions()
	a.registerMCPLogs()
	a.registerPlugins()
	a.registerUsage()
	a.registerReload()
}

func (a *api) config() huma.Config {
	c := huma.Config{
		OpenAPI: document(a.version, a.publicURL),
		Formats: map[string]huma.Format{"application/json": {Marshal: encode, Unmarshal: json.Unmarshal}},
	}
	c.DefaultFormat = "application/json"
	return c
}

// encode writes JSON as it is read best: without escapes for HTML. It fails for
// what is no JSON only: a client that has left is no fault of the handler's.
func encode(w io.Writer, v any) error {
	buf, _ := frames.Get().(*bytes.Buffer)
	defer putBack(buf)
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, _ = w.Write(buf.Bytes())
	return nil
}

// bothSlashes routes each path with and without its trailing slash.
type bothSlashes struct{ huma.Adapter }

func (b bothSlashes) Handle(op *huma.Operation, handler func(huma.Context)) {
	b.Adapter.Handle(op, handler)
	other := *op
	other.Path = otherSlash(op.Path)
	b.Adapter.Handle(&other, handler)
}

func otherSlash(path string) string {
	if bare, ok := strings.CutSuffix(path, "/"); ok {
		return bare
	}
	return path + "/"
}

func (a *api) notFound(w http.ResponseWriter, r *http.Request) {
	writeError(w, r, &core.Error{Code: core.CodeNotFound, Message: fmt.Sprintf("There is no %s; /docs lists what there is", r.URL.Path)})
}

func (a *api) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, m := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	} {
		asked := m
		if m == http.MethodHead {
			asked = http.MethodGet
		}
		path := r.URL.Path
		if r.URL.RawPath != "" {
			path = r.URL.RawPath
		}
		if a.router.Match(chi.NewRouteContext(), asked, path) {
			allowed = append(allowed, m)
		}
	}
	allow := strings.Join(allowed, ", ")
	w.Header().Set("Allow", allow)
	writeError(w, r, &core.Error{
		Code: core.CodeMethodNotAllowed, Message: fmt.Sprintf("%s is not allowed here; allowed: %s", r.Method, allow),
	})
}
