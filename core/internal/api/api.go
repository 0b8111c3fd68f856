package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/agentarea/agentarea/core"
)

// Options configure an API.
type Options struct {
	// Auth identifies callers. It is required.
	Auth Authenticator
	// Audit stores the audit records of requests. It is required.
	Audit AuditStore
	// Keys finds repeated requests. Without it, the Idempotency-Key of a request is ignored.
	Keys KeyStore
	// KeySecret is the secret of the hashes that are stored with idempotency keys. All servers of a database must have
	// the same.
	KeySecret []byte
	// Limits is the rate limit of requests. Nil means no limit.
	Limits Limits
	// Observer receives metrics and traces. Nil means none.
	Observer Observer
	// Logger receives a line for each request. The default is slog.Default.
	Logger *slog.Logger
	// Version is the server's version, which the OpenAPI document shows.
	Version string
	// PublicURL is the URL at which clients reach the server, or empty if unknown. With an https
	// URL, replies carry Strict-Transport-Security.
	PublicURL string
	// MaxBody is the maximum size of a JSON body in bytes. The default is 1 MiB.
	MaxBody int64
	// Bodies and UserBodies are the maximum sizes of all bodies that the server, or one user, has in progress,
	// in decoded form and in bytes. The defaults are 128 MiB and 32 MiB.
	Bodies, UserBodies int64
	// Large is the maximum number of large requests that a user runs at the same time. The default is 2.
	Large int
	// Streams is the maximum number of event streams of a user. The default is 100.
	Streams int
	// Heartbeat is the maximum time without data on an event stream. The default is 15 seconds.
	Heartbeat time.Duration
	// Recheck is the interval at which an event stream checks that its credential is still valid.
	// The default is 4 seconds.
	Recheck time.Duration
}

// API is an HTTP API. Groups of resources add their operations with Register; Handler then serves
// them. It is safe for concurrent use once Handler has been called.
type API struct {
	huma      huma.API
	router    chi.Router
	auth      Authenticator
	requests  *requestLogger
	limits    Limits
	keys      KeyStore
	keySecret []byte
	observer  Observer
	log       *slog.Logger
	bodies    *bodyBudget
	large     *core.UserSlots
	streams   *streamCounter
	heartbeat time.Duration
	recheck   time.Duration
	docs      sync.Once
}

// New returns an API without operations.
func New(o Options) *API {
	a := &API{
		router: chi.NewMux(), auth: o.Auth, limits: o.Limits, observer: o.Observer, log: cmp.Or(o.Logger, slog.Default()),
		keys: o.Keys, keySecret: o.KeySecret,
		bodies:    newBodyBudget(cmp.Or(o.Bodies, defaultBodies), cmp.Or(o.UserBodies, defaultUserBodies)),
		large:     core.NewUserSlots(cmp.Or(o.Large, maxLarge), maxWaiting),
		streams:   &streamCounter{max: cmp.Or(o.Streams, maxStreams), open: map[string]int{}},
		heartbeat: cmp.Or(o.Heartbeat, 15*time.Second), recheck: cmp.Or(o.Recheck, 4*time.Second),
	}
	if a.observer == nil {
		a.observer = noObserver{}
	}
	publicURL := strings.TrimSuffix(o.PublicURL, "/")
	a.requests = &requestLogger{
		auth: o.Auth, observer: a.observer, log: a.log, audit: &auditor{store: o.Audit, log: a.log},
		https: strings.HasPrefix(publicURL, "https://"),
	}
	a.router.Use(a.requests.wrap(""), limitRequests(o.Limits), middleware.GetHead)
	a.router.NotFound(notFound)
	a.router.MethodNotAllowed(a.methodNotAllowed)
	a.huma = huma.NewAPI(humaConfig(o.Version, publicURL), bothSlashes{humachi.NewAdapter(a.router)})
	body := bodyReader{api: a.huma, maxBytes: cmp.Or(o.MaxBody, 1<<20), budget: a.bodies, enterLarge: a.enterLarge, setKey: a.setKey}
	a.huma.UseMiddleware(audit, authorize(a.huma), checkParameters(a.huma), body.read)
	return a
}

func humaConfig(version, publicURL string) huma.Config {
	return huma.Config{
		OpenAPI:       document(version, publicURL),
		Formats:       map[string]huma.Format{"application/json": {Marshal: EncodeJSON, Unmarshal: json.Unmarshal}},
		DefaultFormat: "application/json",
	}
}

// Handler returns the handler of all operations, of the OpenAPI document and of the docs page.
// Everything must be registered before the first call.
func (a *API) Handler() http.Handler {
	a.docs.Do(func() { serveDocs(a) })
	return a.router
}

// Handle serves requests that match a router pattern with h, which is not part of the OpenAPI
// document. The requests get an id, the rate limit and a log line, but no authorization.
func (a *API) Handle(pattern string, h http.Handler) { a.router.Handle(pattern, h) }

// HandleGet is Handle for GET requests only.
func (a *API) HandleGet(pattern string, h http.Handler) { a.router.Method(http.MethodGet, pattern, h) }

// Standalone returns a handler for a listener that serves h alone, with the request ids, the rate
// limit, the log and the audit of the API. route names it in metrics.
func (a *API) Standalone(route string, h http.Handler) http.Handler {
	return a.requests.wrap(route)(limitRequests(a.limits)(h))
}

// Close writes the audit records and log lines that are being counted. It must be called after the last request and
// before the audit store is closed.
func (a *API) Close() {
	a.requests.audit.refused.close()
	a.requests.limited.close()
}

// OpenAPI returns the OpenAPI document, which may be changed until Handler is called.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }

// Logger returns the API's logger.
func (a *API) Logger() *slog.Logger { return a.log }

// SetHeaders sets the headers that every reply has, with the id of its request.
func (a *API) SetHeaders(h http.Header, requestID string) { a.requests.setHeaders(h, requestID) }

// ObserveStream reports an open connection of a kind, such as "sse", until closed is called.
func (a *API) ObserveStream(kind string) (closed func()) { return a.observer.Stream(kind) }

// bothSlashes routes each path with and without its trailing slash.
type bothSlashes struct{ huma.Adapter }

func (b bothSlashes) Handle(op *huma.Operation, handler func(huma.Context)) {
	b.Adapter.Handle(op, handler)
	other := *op
	other.Path = otherSlash(op.Path)
	b.Adapter.Handle(&other, handler)
}

// otherSlash returns the path with its trailing slash added or removed.
func otherSlash(path string) string {
	if bare, ok := strings.CutSuffix(path, "/"); ok {
		return bare
	}
	return path + "/"
}

func notFound(w http.ResponseWriter, r *http.Request) {
	WriteError(w, r, &core.Error{
		Code:    core.CodeNotFound,
		Message: fmt.Sprintf("No such endpoint: %s %s. See /docs for the API.", r.Method, r.URL.Path),
	})
}

func (a *API) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, m := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	} {
		routed := m
		if m == http.MethodHead {
			routed = http.MethodGet
		}
		if a.router.Match(chi.NewRouteContext(), routed, cmp.Or(r.URL.RawPath, r.URL.Path)) {
			allowed = append(allowed, m)
		}
	}
	allow := strings.Join(allowed, ", ")
	w.Header().Set("Allow", allow)
	WriteError(w, r, &core.Error{
		Code:    core.CodeMethodNotAllowed,
		Message: fmt.Sprintf("Method %s is not allowed for %s. Allowed methods: %s.", r.Method, r.URL.Path, allow),
	})
}
