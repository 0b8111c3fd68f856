package api

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"
)

// Observer watches requests: for metrics and traces.
type Observer interface {
	// Request is told of a request when it comes, and gives the context that it goes on
	// with. done is called when it is answered, with the template of its route: empty for a
	// path that there is not.
	Request(r *http.Request, id string) (ctx context.Context, done func(route string, status int))
	// Stream is told of a connection that watches, sse or websocket, until closed is called.
	Stream(kind string) (closed func())
}

type noObserver struct{}

func (noObserver) Request(r *http.Request, _ string) (context.Context, func(string, int)) {
	return r.Context(), func(string, int) {}
}

func (noObserver) Stream(string) func() { return func() {} }

// gatewayRoute is that of the listener that serves the gateway alone.
const gatewayRoute = "/mcp/*"

// route is the template that the request's path has matched.
func route(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil {
		return c.RoutePattern()
	}
	return gatewayRoute
}
