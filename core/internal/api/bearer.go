package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// access says who may call an operation.
type access int

const (
	// anyone needs no token.
	anyone access = iota
	// signedIn needs a live access token.
	signedIn
	// writer is signedIn and not a viewer, who may only read.
	writer
	// admin is signedIn as an admin.
	admin
)

// The keys of an operation's metadata.
const (
	accessKey   = "access"
	fieldsKey   = "fields"
	resourceKey = "resource"
)

var errNoToken = &core.Error{
	Code: core.CodeUnauthorized, Message: "Authentication required: send an access token or an API key as Authorization: Bearer",
}

// identify finds out who calls, once for all that want to know.
func (a *api) identify(r *http.Request, req *request) {
	// Of two a proxy may have judged the other.
	if token, ok := bearer(r.Header.Get("Authorization")); ok && len(r.Header.Values("Authorization")) == 1 {
		req.principal, req.stranger = a.auth.Verify(r.Context(), token)
	} else {
		req.stranger = errNoToken
	}
}

// stillAs fails with Unauthorized once a credential has ended, or its user has
// another role than a stream was opened in.
func (a *api) stillAs(ctx context.Context, p *core.Principal) error {
	now, err := a.auth.Live(ctx, p.Credential())
	if err == nil && now.User.Role != p.User.Role {
		return &core.Error{Code: core.CodeUnauthorized, Message: "Your role has changed: connect again"}
	}
	return err
}

// authenticate lets through who may call the operation.
func (a *api) authenticate(ctx huma.Context, next func(huma.Context)) {
	req := requestOf(ctx.Context())
	need, _ := ctx.Operation().Metadata[accessKey].(access)
	if need == anyone {
		next(ctx)
		return
	}
	if req.stranger != nil {
		a.fail(ctx, req.stranger)
		return
	}
	if err := allowed(ctx.Operation(), need, req.principal); err != nil {
		a.fail(ctx, err)
		return
	}
	next(ctx)
}

func allowed(op *huma.Operation, need access, p *core.Principal) error {
	resource, _ := op.Metadata[resourceKey].(core.Resource)
	write := op.Method != http.MethodGet
	switch {
	case need == admin && p.User.Role != core.RoleAdmin:
		return core.Forbidden("Insufficient permissions: only an admin may do this")
	case need == writer && p.User.Role == core.RoleViewer:
		return core.Forbidden("Insufficient permissions: a viewer may only read")
	case !p.Allows(resource, write):
		return outOfScope(resource, write)
	default:
		return nil
	}
}

// outOfScope says what the API key lacks.
func outOfScope(resource core.Resource, write bool) error {
	switch {
	case resource == core.ResourceAccount:
		return core.Forbidden("Insufficient permissions: the API key needs the scope *, or sign in instead")
	case write:
		return core.Forbidden(fmt.Sprintf("Insufficient permissions: the API key needs the scope %s:write", resource))
	default:
		return core.Forbidden(fmt.Sprintf("Insufficient permissions: the API key needs the scope %s:read", resource))
	}
}

// resources are what a key's scopes name, by the tags of the operations.
var resources = map[string]core.Resource{
	"Agents": core.ResourceAgents, "Plugins": core.ResourceAgents, "Chat": core.ResourceChat, "Runs": core.ResourceChat,
	"Tasks": core.ResourceTasks, "Files": core.ResourceFiles, "MCP servers": core.ResourceMCP,
	"Authentication": core.ResourceAccount, "API keys": core.ResourceAccount,
}

// resource is what an API key must be good for to call the operation.
func (o operation) resource() core.Resource {
	if o.access == admin {
		return core.ResourceAdmin
	}
	if o.anyKey {
		return core.ResourceNone
	}
	return resources[o.tag]
}

func bearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

// fail answers with an error before the handler.
func (a *api) fail(ctx huma.Context, err error) {
	_ = huma.WriteErr(a.huma, ctx, http.StatusInternalServerError, "", err) // it logs its own failure
}
