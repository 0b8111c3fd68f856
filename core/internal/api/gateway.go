package api

import (
	"net/http"
	"strings"
)

// gatewayAction is what the audit calls what the gateway refuses.
const gatewayAction = "mcp"

// serveGateway has the gateway's paths go the way of all requests, with an id, a
// line in the log and a row of the audit when it refuses.
func (a *api) serveGateway(gateway http.Handler) {
	h := labelled(gateway)
	a.router.Handle("/mcp/*", h)
	a.router.Handle("/.well-known/oauth-protected-resource/mcp/*", h)
}

func labelled(gateway http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/mcp/"); ok {
			slug, _, _ := strings.Cut(rest, "/")
			req := requestOf(r.Context())
			req.action, req.target = gatewayAction, plain(slug)
		}
		gateway.ServeHTTP(w, r)
	})
}
