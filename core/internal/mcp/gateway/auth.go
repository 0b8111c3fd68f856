package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// metadataPath is the path prefix of protected resource metadata (RFC 9728). The path of the
// resource follows it.
const metadataPath = "/.well-known/oauth-protected-resource"

// caller is the authenticated principal of a request with the server that the request
// addresses.
type caller struct {
	*core.Principal
	server *core.MCPServer
}

// userID returns the ID of the authenticated user.
func (c *caller) userID() string { return c.User.ID }

// serve checks that the caller may use the server with the slug, and dispatches the request by its
// HTTP method.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, slug string) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if reason := g.checkOrigin(r); reason != "" {
		g.fail(w, r, core.Forbidden(reason))
		return
	}
	c, ok := g.authenticate(w, r)
	if !ok {
		return
	}
	if c.User.Role == core.RoleViewer {
		g.rejectRequest(w, r, core.Forbidden("Insufficient permissions: the role viewer may not use MCP servers"))
		return
	}
	if !c.Allows(core.ResourceMCP, true) {
		g.rejectRequest(w, r, core.Forbidden("Insufficient permissions: the API key needs the scope mcp:write"))
		return
	}
	server, err := g.servers.Find(r.Context(), c.Actor(), slug)
	if err != nil {
		g.rejectRequest(w, r, err)
		return
	}
	c.server = server
	switch r.Method {
	case http.MethodPost:
		g.handlePost(w, r, c)
	case http.MethodGet:
		g.handleGet(w, r, c)
	case http.MethodDelete:
		g.handleDelete(w, r, c)
	default:
		g.methodNotAllowed(w, r, "GET, POST, DELETE", "")
	}
}

// authenticate returns the caller of a request. On failure it writes the error and returns
// false. A 401 response has a WWW-Authenticate header as RFC 9728 requires.
func (g *Gateway) authenticate(w http.ResponseWriter, r *http.Request) (*caller, bool) {
	challenge := `Bearer resource_metadata="` + g.baseURL(r) + metadataPath + r.URL.EscapedPath() + `"`
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(r.Header.Values("Authorization")) != 1 {
		w.Header().Set("WWW-Authenticate", challenge)
		g.fail(w, r, &core.Error{
			Code:    core.CodeUnauthorized,
			Message: "Authentication required: send an access token or an API key as Authorization: Bearer",
		})
		return nil, false
	}
	p, err := g.auth.Verify(r.Context(), token)
	if err != nil {
		if core.CodeOf(err) == core.CodeUnauthorized {
			w.Header().Set("WWW-Authenticate", challenge+`, error="invalid_token"`)
		}
		g.rejectRequest(w, r, err)
		return nil, false
	}
	return &caller{Principal: p}, true
}

// checkOrigin returns why a request must be rejected, or "" for an allowed request. The check
// of the Host header prevents DNS rebinding. The check of the Origin header rejects web pages
// of other sites.
func (g *Gateway) checkOrigin(r *http.Request) string {
	host := hostname(r.Host)
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && addr != nil &&
		isLoopback(hostname(addr.String())) && !isLoopback(host) &&
		(g.public == nil || !strings.EqualFold(g.public.Hostname(), host)) {
		return fmt.Sprintf("Forbidden: the Host header %q matches neither this machine nor the public URL of the server",
			r.Host)
	}
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(g.origins, origin) {
		return ""
	}
	u, err := url.Parse(origin)
	if err == nil && u.Host != "" &&
		(strings.EqualFold(u.Host, r.Host) ||
			g.public != nil && strings.EqualFold(u.Host, g.public.Host)) {
		return ""
	}
	return fmt.Sprintf("Forbidden: web pages of the origin %q may not call the server", origin)
}

// hostname returns the host without a port.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

// isLoopback reports whether the host is localhost or a loopback address.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// baseURL returns the scheme and host of the URL that the client used.
func (g *Gateway) baseURL(r *http.Request) string {
	if g.public != nil && strings.EqualFold(g.public.Host, r.Host) {
		return g.public.String()
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// metadata serves the protected resource metadata. It answers for every slug, because only
// authenticated callers may learn which servers exist. Web pages may read it too.
func (g *Gateway) metadata(w http.ResponseWriter, r *http.Request) {
	if reason := g.checkOrigin(r); reason != "" {
		g.fail(w, r, core.Forbidden(reason))
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		g.methodNotAllowed(w, r, "GET, HEAD", "")
		return
	}
	base := g.baseURL(r)
	writeJSON(w, http.StatusOK, slices.Concat(
		[]byte(`{"resource":`), quote(base+strings.TrimPrefix(r.URL.EscapedPath(), metadataPath)),
		[]byte(`,"bearer_methods_supported":["header"],"resource_documentation":`), quote(base+"/docs"), []byte(`}`)))
}
