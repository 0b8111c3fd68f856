package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/agentarea/agentarea/core"
)

// Limits is a rate limit of requests.
type Limits interface {
	// Admit counts a request under a key, by the limits of a role or, if the role is empty, those of
	// unauthenticated callers. It sets the X-RateLimit headers, and fails with RateLimited.
	Admit(r *http.Request, h http.Header, key string, role core.Role) error
}

// Observer receives requests and streams for metrics and traces.
type Observer interface {
	// Request is called when a request arrives, and returns the context for it. done is called when
	// the request is answered, with the pattern of its route, which is empty for an unknown path.
	Request(r *http.Request, id string) (ctx context.Context, done func(route string, status int))
	// Stream is called when a connection of a kind, "sse" or "websocket", opens. closed is called
	// when it ends.
	Stream(kind string) (closed func())
}

type noObserver struct{}

func (noObserver) Request(r *http.Request, _ string) (context.Context, func(string, int)) {
	return r.Context(), func(string, int) {}
}

func (noObserver) Stream(string) func() { return func() {} }

// Request contains the properties of a request that the framework determines.
type Request struct {
	ID      string
	Address string
	// Principal is the caller. Exactly one of Principal and AuthError is nil.
	Principal *core.Principal
	// AuthError is the error of the authentication.
	AuthError error
	// Err is the error that was answered.
	Err error

	// host is the host of the requested URL, and secure reports whether TLS was used.
	host   string
	secure bool
	// action and target are the operation and the object that it acts on.
	action, target string
	// releaseStream ends the reservation of an event stream, or is nil.
	releaseStream func()
	// leaveLarge returns the slot of a large request, or is nil.
	leaveLarge func()
	// audit is the audit record of an operation that may change something.
	audit *core.AuditRecord
	// query is the query of the URL.
	query string
	// reply is the writer of the reply.
	reply *replyWriter
}

type requestKey struct{}

// RequestFrom returns the request that ctx belongs to, or an empty one.
func RequestFrom(ctx context.Context) *Request {
	r, ok := ctx.Value(requestKey{}).(*Request)
	if !ok {
		return &Request{}
	}
	return r
}

// Origin returns the scheme and host of the requested URL.
func (r *Request) Origin() string {
	if r.secure {
		return "https://" + r.host
	}
	return "http://" + r.host
}

// SetAction sets the action and the target of the request's audit record, for requests that are not
// operations.
func (r *Request) SetAction(action, target string) { r.action, r.target = action, Sanitize(target) }

// Actor returns the caller of an authenticated request.
func Actor(ctx context.Context) core.Actor { return RequestFrom(ctx).Principal.Actor() }

var requestIDs = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// requestID returns the X-Request-ID of the client if it is safe to log, or else a new id.
func requestID(h http.Header) string {
	if id := h.Get("X-Request-ID"); requestIDs.MatchString(id) {
		return id
	}
	return "req-" + strings.ToLower(rand.Text())
}

// requestLogger is the outermost middleware.
type requestLogger struct {
	auth     Authenticator
	observer Observer
	audit    *auditor
	log      *slog.Logger
	// limited folds the log lines of requests over the rate limit.
	limited folder
	// https reports whether clients reach the server over https only.
	https bool
}

// wrap returns the middleware that adds the id, headers, principal and log line of each request, and
// answers a panic with 500. route is reported for requests that the router did not match.
func (l *requestLogger) wrap(route string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			req := &Request{ID: requestID(r.Header), Address: address(r), host: r.Host, secure: r.TLS != nil, query: r.URL.RawQuery}
			status := newReplyWriter(w, r)
			req.reply = status
			ctx, done := l.observer.Request(r, req.ID)
			ctx = core.WithLogFields(context.WithValue(ctx, requestKey{}, req), core.LogFields{RequestID: req.ID})
			r = r.WithContext(ctx) //nolint:contextcheck // the observer derives it from the request's
			l.setHeaders(w.Header(), req.ID)
			defer func() {
				p := recover()
				if req.releaseStream != nil {
					defer req.releaseStream()
				}
				defer func() { done(routePattern(r, route), status.status) }()
				l.finish(status, r, start, p)
			}()
			identify(l.auth, r, req)
			if req.Principal != nil {
				r = r.WithContext(core.WithLogFields(ctx, core.LogFields{UserID: req.Principal.User.ID})) //nolint:contextcheck // derived, too
			}
			next.ServeHTTP(status, r)
		})
	}
}

// routePattern returns the pattern that the request's path has matched, or fallback outside of the
// router.
func routePattern(r *http.Request, fallback string) string {
	if c := chi.RouteContext(r.Context()); c != nil {
		return c.RoutePattern()
	}
	return fallback
}

// finish answers a panic p, if there was one, stores the audit record and writes the log line.
func (l *requestLogger) finish(w *replyWriter, r *http.Request, start time.Time, p any) {
	req := RequestFrom(r.Context())
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		l.logRequest(r, req, w.status, time.Since(start))
		panic(p)
	}
	if p != nil {
		l.log.ErrorContext(r.Context(), "recovered from a panic in a handler",
			"request_id", req.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		if !w.begun() {
			w.reset()
			WriteError(w, r, fmt.Errorf("panic: %v", p))
		}
	}
	w.end()
	l.audit.recordOutcome(r.Context(), req, w.status)
	l.logRequest(r, req, w.status, time.Since(start))
}

func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func (l *requestLogger) setHeaders(h http.Header, id string) {
	h.Set("X-Request-ID", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	if l.https {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// logRequest writes the access log. Of the requests of a caller over the rate limit, it writes the first and then one
// line per minute with their number. It leaves out the query, which may contain secrets.
func (l *requestLogger) logRequest(r *http.Request, req *Request, status int, took time.Duration) {
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	switch {
	case isProbe(r.URL.Path) && (status < http.StatusInternalServerError || status == http.StatusServiceUnavailable):
		level = slog.LevelDebug
	case r.Context().Err() != nil:
		level = slog.LevelInfo // the client disconnected
	}
	if !l.log.Enabled(r.Context(), level) {
		return
	}
	if status == http.StatusTooManyRequests {
		l.limited.add(callerKey(req), func(repeated int) {
			l.writeLog(r, req, level, status, took, slog.Int("repeated", repeated))
		})
		return
	}
	l.writeLog(r, req, level, status, took)
}

// isProbe reports whether a path is one that monitors and load balancers request every few seconds. Package health logs
// a change of readiness.
func isProbe(path string) bool {
	path = strings.TrimSuffix(path, "/")
	return path == "/health" || path == "/health/ready"
}

// writeLog writes a line of the access log.
func (l *requestLogger) writeLog(
	r *http.Request, req *Request, level slog.Level, status int, took time.Duration, more ...slog.Attr,
) {
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs, slog.String("request_id", req.ID), slog.String("method", r.Method),
		slog.String("path", r.URL.Path), slog.Int("status", status), slog.Duration("duration", took),
		slog.String("address", req.Address))
	if req.Principal != nil {
		attrs = append(attrs, slog.String("user_id", req.Principal.User.ID))
	}
	if req.Err != nil {
		attrs = append(attrs, slog.String("error", req.Err.Error()))
	}
	attrs = append(attrs, more...)
	l.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// limitRequests returns the middleware that counts each request before any work is done for it: under
// its user, or, if the caller is unknown, under its address.
func limitRequests(limits Limits) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if limits == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			req := RequestFrom(r.Context())
			var err error
			if p := req.Principal; p != nil {
				err = limits.Admit(r, w.Header(), "user "+p.User.ID, p.User.Role)
			} else {
				err = limits.Admit(r, w.Header(), "address "+core.AddressKey(req.Address), "")
			}
			if err != nil {
				WriteError(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
