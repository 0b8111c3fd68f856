package mcpservers

import (
	"net/http"
	"strings"

	"github.com/agentarea/agentarea/core/internal/api"
)

const (
	// gatewayAction is the action of the gateway's requests in the audit log.
	gatewayAction = "mcp"
	gatewayRoute  = "/mcp/*"
)

// RegisterGateway adds the gateway for MCP clients and the metadata of its protected resources. It
// returns a handler that serves only the gateway, for a separate listener.
func RegisterGateway(a *api.API, gateway http.Handler) http.Handler {
	h := audited(a.LimitBodies(gateway))
	a.Handle(gatewayRoute, h)
	a.Handle("/.well-known/oauth-protected-resource/mcp/*", h)
	return a.Standalone(gatewayRoute, h)
}

// audited sets the action and target of the gateway's requests, so that refusals are recorded.
func audited(gateway http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/mcp/"); ok {
			slug, _, _ := strings.Cut(rest, "/")
			api.RequestFrom(r.Context()).SetAction(gatewayAction, slug)
		}
		gateway.ServeHTTP(w, r)
	})
}
