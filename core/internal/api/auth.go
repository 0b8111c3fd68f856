package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/agentarea/agentarea/core"
)

type credentials struct {
	Username string `json:"username" minLength:"1"`
	Password string `json:"password" minLength:"1" format:"password"`
}

type refreshRequest struct {
	RefreshToken string `json:"refresh_token,omitempty" doc:"The newest refresh token; may be left out when a live access token is sent"`
}

type passwordChange struct {
	Current string `json:"current_password" format:"password" minLength:"1" maxLength:"256"`
	New     string `json:"new_password" format:"password" minLength:"8" maxLength:"256"`
}

type tokens struct {
	AccessToken  string  `json:"access_token" doc:"To be sent as Authorization: Bearer"`
	TokenType    string  `json:"token_type" enum:"bearer"`
	ExpiresIn    int64   `json:"expires_in" doc:"Seconds until the access token is too old"`
	RefreshToken string  `json:"refresh_token" doc:"For one use with POST /v1/auth/refresh"`
	User         account `json:"user"`
}

// account is the user as a sign-in gives it.
type account struct {
	ID       string    `json:"id"`
	Username string    `json:"username"`
	Email    string    `json:"email"`
	Role     core.Role `json:"role" enum:"admin,member,viewer"`
}

type loginInput struct{ Body credentials }

type passwordInput struct{ Body passwordChange }

type refreshInput struct {
	Body *refreshRequest
}

type tokensOutput struct{ Body tokens }

var (
	exampleCredentials = credentials{Username: "your-username", Password: "your-password"}
	exampleTokens      = tokens{ //nolint:gosec // an example of tokens, not one
		AccessToken: "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9...", TokenType: "bearer", ExpiresIn: 3600,
		RefreshToken: "rt_login-123.AAAAAAAAAAE...",
		User:         account{ID: "user-123", Username: "your-username", Email: "user@example.com", Role: core.RoleMember},
	}
)

func (a *api) registerAuth() {
	register(a, operation{
		id: "login", method: http.MethodPost, path: "/v1/auth/login", tag: "Authentication", summary: "Sign in",
		about:   "Gives an access token for an hour and a refresh token for 30 days. Too many attempts by one name or from one address are 429.",
		request: exampleCredentials, response: exampleTokens,
		errors: []core.Code{core.CodeUnauthorized, core.CodeRateLimited},
	}, func(ctx context.Context, in *loginInput) (*tokensOutput, error) {
		core.SetAuditActor(ctx, &core.User{Username: plain(in.Body.Username)})
		return tokensReply(a.auth.Login(ctx, in.Body.Username, in.Body.Password, requestOf(ctx).address))
	})
	register(a, operation{
		id: "refresh", method: http.MethodPost, path: "/v1/auth/refresh", tag: "Authentication", summary: "Get a fresh access token",
		about: "Takes the refresh token in the body and gives the next one: each is for one use, and using one again ends the whole session. " +
			"Without a body it takes a live access token and stays in its session.",
		request: refreshRequest{RefreshToken: exampleTokens.RefreshToken}, response: exampleTokens,
		tokenToo: true, errors: []core.Code{core.CodeUnauthorized},
	}, a.refresh)
	register(a, operation{
		id: "logout", method: http.MethodPost, path: "/v1/auth/logout", tag: "Authentication", summary: "Sign out",
		about: "Ends the session with every access and refresh token of it.", access: signedIn, status: http.StatusNoContent,
		errors: []core.Code{core.CodeConflict},
	}, func(ctx context.Context, _ *struct{}) (*struct{}, error) {
		p := requestOf(ctx).principal
		if p.Key != nil {
			return nil, core.Conflict("An API key is no sign-in: DELETE /v1/api-keys/%s ends it", p.Key.ID)
		}
		core.SetAuditTarget(ctx, p.LoginID)
		return nil, a.auth.Logout(ctx, p.LoginID)
	})
	register(a, operation{
		id: "change-password", method: http.MethodPost, path: "/v1/auth/password", tag: "Authentication", summary: "Change your password",
		about: "Every other sign-in of yours ends; API keys stay.", access: signedIn, status: http.StatusNoContent,
		request: passwordChange{Current: "your-password", New: "correct horse battery"}, errors: []core.Code{core.CodeRateLimited},
	}, func(ctx context.Context, in *passwordInput) (*struct{}, error) {
		p := requestOf(ctx).principal
		core.SetAuditTarget(ctx, p.User.ID)
		return nil, a.auth.ChangePassword(ctx, p, in.Body.Current, in.Body.New)
	})
	register(a, operation{
		id: "me", method: http.MethodGet, path: "/v1/auth/me", tag: "Authentication", summary: "Who am I?",
		about: "Gives the user that the access token or API key belongs to.", access: signedIn, anyKey: true, response: exampleUser,
	}, func(ctx context.Context, _ *struct{}) (*userOutput, error) {
		return &userOutput{Body: userBody(requestOf(ctx).principal.User)}, nil
	})
}

func (a *api) refresh(ctx context.Context, in *refreshInput) (*tokensOutput, error) {
	if in.Body != nil && in.Body.RefreshToken != "" {
		return tokensReply(a.auth.Refresh(ctx, in.Body.RefreshToken))
	}
	req := requestOf(ctx)
	switch {
	case req.stranger == nil:
	case !errors.Is(req.stranger, errNoToken):
		return nil, req.stranger
	case in.Body != nil:
		return nil, core.Invalid("refresh_token", "Field is required, unless a live access token is sent as Authorization: Bearer")
	default:
		return nil, &core.Error{
			Code: core.CodeUnauthorized, Message: "Authentication required: send refresh_token in the body, or a live access token as Authorization: Bearer",
		}
	}
	if req.principal.Key != nil {
		return nil, &core.Error{Code: core.CodeUnauthorized, Message: "An API key needs no refresh: it is good until it expires or is deleted"}
	}
	core.SetAuditTarget(ctx, req.principal.LoginID)
	return tokensReply(a.auth.Renew(ctx, req.principal.LoginID))
}

func tokensReply(t *core.Tokens, err error) (*tokensOutput, error) {
	if err != nil {
		return nil, err
	}
	return &tokensOutput{Body: tokens{
		AccessToken: t.Access, TokenType: "bearer", ExpiresIn: int64(t.ExpiresIn.Seconds()), RefreshToken: t.Refresh,
		User: account{ID: t.User.ID, Username: t.User.Username, Email: t.User.Email, Role: t.User.Role},
	}}, nil
}
