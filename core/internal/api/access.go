package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// Authenticator identifies callers.
type Authenticator interface {
	// Verify returns the principal of an access token or API key. It fails with Unauthorized.
	Verify(ctx context.Context, token string) (*core.Principal, error)
	// Live returns the principal of a credential, given its id. It fails with Unauthorized if the
	// credential has ended or its user is disabled.
	Live(ctx context.Context, credential string) (*core.Principal, error)
}

// Access is the permission that an operation requires.
type Access int

const (
	// Anyone requires no credential.
	Anyone Access = iota
	// SignedIn requires a valid access token or API key.
	SignedIn
	// Writer requires SignedIn with a role that may change data: member or admin.
	Writer
	// Admin requires SignedIn as an admin.
	Admin
)

// Keys of an operation's metadata.
const (
	accessKey      = "access"
	conditionalKey = "conditional"
	fieldsKey      = "fields"
	largeKey       = "large"
	repeatableKey  = "repeatable"
	resourceKey    = "resource"
)

// ErrNoToken is the error of a request without a credential.
var ErrNoToken = &core.Error{
	Code:    core.CodeUnauthorized,
	Message: "Authentication required: send an access token or an API key in the header Authorization: Bearer",
}

// identify sets the principal of a request, or the error of its authentication.
func identify(auth Authenticator, r *http.Request, req *Request) {
	// With two headers, a proxy may have checked the other one.
	if token, ok := bearer(r.Header.Get("Authorization")); ok && len(r.Header.Values("Authorization")) == 1 {
		req.Principal, req.AuthError = auth.Verify(r.Context(), token)
	} else {
		req.AuthError = ErrNoToken
	}
}

// bearer returns the token of an Authorization header.
func bearer(header string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

// Authenticate returns the principal of an access token or API key that arrives after the request,
// as the first message of a WebSocket does. It fails with Unauthorized.
func (a *API) Authenticate(ctx context.Context, token string) (*core.Principal, error) {
	return a.auth.Verify(ctx, token)
}

// CheckCredential fails with Unauthorized if the credential of p has ended, or if the role of its
// user has changed. Long-lived connections call it periodically.
func (a *API) CheckCredential(ctx context.Context, p *core.Principal) error {
	now, err := a.auth.Live(ctx, p.Credential())
	if err == nil && now.User.Role != p.User.Role {
		return &core.Error{Code: core.CodeUnauthorized, Message: "Your role has changed. Connect again."}
	}
	return err
}

// authorize returns the middleware that rejects callers who may not use the operation.
func authorize(h huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		req := RequestFrom(ctx.Context())
		need, _ := ctx.Operation().Metadata[accessKey].(Access)
		if need != Anyone {
			err := req.AuthError
			if err == nil {
				err = checkAccess(ctx.Operation(), need, req.Principal)
			}
			if err != nil {
				writeHumaError(h, ctx, err)
				return
			}
		}
		next(ctx)
	}
}

// checkAccess fails with Forbidden if p may not use the operation.
func checkAccess(op *huma.Operation, need Access, p *core.Principal) error {
	resource, _ := op.Metadata[resourceKey].(core.Resource)
	write := op.Method != http.MethodGet
	switch {
	case need == Admin && p.User.Role != core.RoleAdmin:
		return core.Forbidden("Insufficient permissions: this operation requires the admin role")
	case need == Writer && p.User.Role == core.RoleViewer:
		return core.Forbidden("Insufficient permissions: a viewer may only read")
	case !p.Allows(resource, write):
		return MissingScope(resource, write)
	default:
		return nil
	}
}

// RequireScope fails with Forbidden if the request was authenticated by an API key that may not read the
// resource, or if write is true change it. Handlers call it for what an operation reaches besides the
// resource of its tag.
func RequireScope(ctx context.Context, resource core.Resource, write bool) error {
	if RequestFrom(ctx).Principal.Allows(resource, write) {
		return nil
	}
	return MissingScope(resource, write)
}

// Allows reports whether RequireScope succeeds.
func Allows(ctx context.Context, resource core.Resource, write bool) bool {
	return RequestFrom(ctx).Principal.Allows(resource, write)
}

// HiddenFile replaces the result of a tool for files in replies to API keys without files:read.
const HiddenFile = "[hidden: the API key needs the scope files:read]"

// MissingScope returns the Forbidden error that names the scope which an API key needs to read a
// resource, or to write it.
func MissingScope(resource core.Resource, write bool) error {
	switch {
	case resource == core.ResourceAccount:
		return core.Forbidden("Insufficient permissions: this operation requires an API key with the scope * or an " +
			"access token")
	case write:
		return core.Forbidden(fmt.Sprintf("Insufficient permissions: the API key needs the scope %s:write", resource))
	default:
		return core.Forbidden(fmt.Sprintf("Insufficient permissions: the API key needs the scope %s:read", resource))
	}
}

// resources maps the tag of an operation to the resource that the scopes of API keys name.
var resources = map[string]core.Resource{
	"Agents": core.ResourceAgents, "Plugins": core.ResourceAgents, "Chat": core.ResourceChat,
	"Tasks": core.ResourceTasks, "Files": core.ResourceFiles, "MCP servers": core.ResourceMCP,
	"Authentication": core.ResourceAccount, "API keys": core.ResourceAccount,
	"Users": core.ResourceAccount,
}

// resource returns the resource that the scopes of an API key must include for the operation.
func (o Operation) resource() core.Resource {
	if o.Access == Admin {
		return core.ResourceAdmin
	}
	if o.AnyKey {
		return core.ResourceNone
	}
	return resources[o.Tag]
}
