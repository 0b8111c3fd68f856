package gateway

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// metadataPath is where RFC 9728 puts what a client should know of a resource;
// the resource's own path follows.
const metadataPath = "/.well-known/oauth-protected-resource"

// caller is who a request comes from, and which server it is for.
type caller struct {
	*core.Principal
	server *core.MCPServer
}

func (c *caller) userID() string { return c.User.ID }

// serve lets through who may reach the server, and tells the eras apart.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if why := g.foreign(r); why != "" {
		fail(w, nil, &rpcError{Code: codeServer, Message: why, status: http.StatusForbidden})
		return
	}
	c, ok := g.identify(w, r)
	if !ok {
		return
	}
	if c.User.Role == core.RoleViewer {
		g.refuse(w, r, core.Forbidden("Insufficient permissions: a viewer may only read, and tools do more"))
		return
	}
	if !c.Allows(core.ResourceMCP, true) {
		g.refuse(w, r, core.Forbidden("Insufficient permissions: the API key needs the scope mcp:write"))
		return
	}
	server, err := g.servers.Find(r.Context(), c.Actor(), r.PathValue("slug"))
	if err != nil {
		g.refuse(w, r, err)
		return
	}
	c.server = server
	switch r.Method {
	case http.MethodPost:
		g.post(w, r, c)
	case http.MethodGet:
		g.listen(w, r, c)
	case http.MethodDelete:
		g.leave(w, r, c)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		fail(w, nil, &rpcError{Code: codeServer, Message: "Method not allowed", status: http.StatusMethodNotAllowed})
	}
}

// identify answers 401 with where to learn more, as RFC 9728 wants it.
func (g *Gateway) identify(w http.ResponseWriter, r *http.Request) (*caller, bool) {
	challenge := `Bearer resource_metadata="` + g.base(r) + metadataPath + r.URL.EscapedPath() + `"`
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(r.Header.Values("Authorization")) != 1 {
		w.Header().Set("WWW-Authenticate", challenge)
		fail(w, nil, &rpcError{
			Code:    codeServer,
			Message: "Authentication required: send an access token or an API key as Authorization: Bearer", status: http.StatusUnauthorized,
		})
		return nil, false
	}
	p, err := g.auth.Verify(r.Context(), token)
	if err != nil {
		if core.CodeOf(err) == core.CodeUnauthorized {
			w.Header().Set("WWW-Authenticate", challenge+`, error="invalid_token"`)
		}
		g.refuse(w, r, err)
		return nil, false
	}
	return &caller{Principal: p}, true
}

// foreign says why a request is not to be answered: a page of a stranger's whose
// name was pointed at this machine sends it, or a page of another origin.
func (g *Gateway) foreign(r *http.Request) string {
	host := hostname(r.Host)
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && addr != nil &&
		loopback(hostname(addr.String())) && !loopback(host) && (g.public == nil || !strings.EqualFold(g.public.Hostname(), host)) {
		return "Forbidden: the Host header names neither this machine nor the server's public URL"
	}
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(g.origins, origin) {
		return ""
	}
	u, err := url.Parse(origin)
	if err == nil && u.Host != "" && (strings.EqualFold(u.Host, r.Host) || g.public != nil && strings.EqualFold(u.Host, g.public.Host)) {
		return ""
	}
	return "Forbidden: pages of this Origin may not call the server"
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// base is the beginning of the URL that the user typed.
func (g *Gateway) base(r *http.Request) string {
	if g.public != nil && strings.EqualFold(g.public.Host, r.Host) {
		return g.public.String()
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// metadata says of any slug how it is protected; whether it is there is for who
// is signed in. It is read by web pages too.
func (g *Gateway) metadata(w http.ResponseWriter, r *http.Request) {
	if why := g.foreign(r); why != "" {
		fail(w, nil, &rpcError{Code: codeServer, Message: why, status: http.StatusForbidden})
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, nil, &rpcError{Code: codeServer, Message: "Method not allowed", status: http.StatusMethodNotAllowed})
		return
	}
	base := g.base(r)
	writeJSON(w, http.StatusOK, slices.Concat(
		[]byte(`{"resource":`), quote(base+strings.TrimPrefix(r.URL.EscapedPath(), metadataPath)),
		[]byte(`,"bearer_methods_supported":["header"],"resource_documentation":`), quote(base+"/docs"), []byte(`}`)))
}
