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

	"github.com/agentarea/agentarea/core"
)

// request is what is known of a request on its way through.
type request struct {
	id      string
	address string
	// host is that of the URL that was called, and secure whether by TLS.
	host   string
	secure bool
	// principal is who calls, and stranger why that is not known; one of them is nil.
	principal *core.Principal
	stranger  error
	// action and target are the operation that was asked for and what it is done to,
	// and audit its row of the audit, if it may change something.
	action, target string
	audit          *core.AuditRecord
	// err is the error that was answered.
	err error
}

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	r, ok := ctx.Value(requestKey{}).(*request)
	if !ok {
		return &request{}
	}
	return r
}

// origin is the scheme and host that the request came by.
func (r *request) origin() string {
	if r.secure {
		return "https://" + r.host
	}
	return "http://" + r.host
}

// viewer is on whose behalf an authenticated request is.
func actor(ctx context.Context) core.Actor { return requestOf(ctx).principal.Actor() }

var requestIDs = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

func requestID(h http.Header) string {
	if id := h.Get("X-Request-ID"); requestIDs.MatchString(id) {
		return id
	}
	return "req-" + strings.ToLower(rand.Text())
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 || w.status < 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// observe gives each request its id, its headers and its line in the log, and
// answers for panics.
func (a *api) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		req := &request{id: requestID(r.Header), address: address(r), host: r.Host, secure: r.TLS != nil}
		rec := &recorder{ResponseWriter: w}
		ctx, done := a.observer.Request(r, req.id)
		ctx = core.WithLogFields(context.WithValue(ctx, requestKey{}, req), core.LogFields{RequestID: req.id})
		r = r.WithContext(ctx) //nolint:contextcheck // the observer makes it of the request's
		a.setHeaders(w.Header(), req.id)
		defer func() {
			p := recover()
			defer func() { done(route(r), rec.status) }()
			a.finish(rec, r, start, p)
		}()
		a.identify(r, req)
		if req.principal != nil {
			r = r.WithContext(core.WithLogFields(ctx, core.LogFields{UserID: req.principal.User.ID})) //nolint:contextcheck // so is this
		}
		next.ServeHTTP(rec, r)
	})
}

// finish answers for a panic p, if there was one, and writes the log line.
func (a *api) finish(w *recorder, r *http.Request, start time.Time, p any) {
	req := requestOf(r.Context())
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		a.logRequest(r, req, w.status, time.Since(start))
		panic(p)
	}
	if p != nil {
		a.log.ErrorContext(r.Context(), "panic in a handler", "request_id", req.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		if w.status == 0 {
			writeError(w, r, fmt.Errorf("panic: %v", p))
		}
	}
	a.recordOutcome(r.Context(), req, w.status)
	a.logRequest(r, req, w.status, time.Since(start))
}

func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func (a *api) setHeaders(h http.Header, id string) {
	h.Set("X-Request-ID", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	if strings.HasPrefix(a.publicURL, "https://") {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// logRequest writes the access log: the path without its query, which may hold
// what nobody should read.
func (a *api) logRequest(r *http.Request, req *request, status int, took time.Duration) {
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	if r.Context().Err() != nil {
		level = slog.LevelInfo // the client went away
	}
	if !a.log.Enabled(r.Context(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs, slog.String("request_id", req.id), slog.String("method", r.Method),
		slog.String("path", r.URL.Path), slog.Int("status", status), slog.Duration("duration", took),
		slog.String("address", req.address))
	if req.principal != nil {
		attrs = append(attrs, slog.String("user_id", req.principal.User.ID))
	}
	if req.err != nil {
		attrs = append(attrs, slog.String("error", req.err.Error()))
	}
	a.log.LogAttrs(r.Context(), level, "request", attrs...)
}
