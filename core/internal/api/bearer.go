package api

import (
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
	accessKey = "access"
	fieldsKey = "fields"
)

var errNoToken = &core.Error{
	Code: core.CodeUnauthorized, Message: "Authentication required: send an access token as Authorization: Bearer",
}

// authenticate lets through who may call the operation.
func (a *api) authenticate(ctx huma.Context, next func(huma.Context)) {
	need, _ := ctx.Operation().Metadata[accessKey].(access)
	if need == anyone {
		next(ctx)
		return
	}
	token, ok := bearer(ctx.Header("Authorization"))
	if !ok {
		a.fail(ctx, errNoToken)
		return
	}
	p, err := a.auth.Verify(ctx.Context(), token)
	if err != nil {
		a.fail(ctx, err)
		return
	}
	requestOf(ctx.Context()).principal = p
	if err := allowed(need, p.User.Role); err != nil {
		a.fail(ctx, err)
		return
	}
	next(ctx)
}

func allowed(need access, role core.Role) error {
	switch {
	case need == admin && role != core.RoleAdmin:
		return core.Forbidden("Insufficient permissions: only an admin may do this")
	case need == writer && role == core.RoleViewer:
		return core.Forbidden("Insufficient permissions: a viewer may only read")
	default:
		return nil
	}
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
