package accounts

import (
	"context"
	"errors"
	"net/http"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

type credentials struct {
	Username string `json:"username" minLength:"1"`
	Password string `json:"password" minLength:"1" format:"password"`
}

type refreshRequest struct {
	RefreshToken string `json:"refresh_token,omitempty" doc:"The newest refresh token. Optional if the request has a valid access token"`
}

type passwordChange struct {
	Current string `json:"current_password" format:"password" minLength:"1" maxLength:"256"`
	New     string `json:"new_password" format:"password" minLength:"8" maxLength:"256"`
}

type tokens struct {
	AccessToken  string  `json:"access_token" doc:"Send it in the header Authorization: Bearer"`
	TokenType    string  `json:"token_type" enum:"bearer"`
	ExpiresIn    int64   `json:"expires_in" doc:"Seconds until the access token expires"`
	RefreshToken string  `json:"refresh_token,omitempty" doc:"For one use with POST /v1/auth/refresh. Omitted if the request was authenticated by an access token"`
	User         account `json:"user"`
}

// account is the user in the reply to a sign-in.
type account struct {
	ID       string    `json:"id"`
	Username string    `json:"username"`
	Email    string    `json:"email"`
	Role     core.Role `json:"role" enum:"admin,member,viewer"`
}

type (
	loginInput    struct{ Body credentials }
	passwordInput struct{ Body passwordChange }
	refreshInput  struct{ Body *refreshRequest }
	tokensOutput  struct{ Body tokens }
)

var (
	exampleCredentials = credentials{Username: "your-username", Password: "your-password"}
	exampleTokens      = tokens{ //nolint:gosec // an example, not a credential
		AccessToken: "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9...", TokenType: "bearer", ExpiresIn: 3600,
		RefreshToken: "rt_login-123.AAAAAAAAAAE...",
		User:         account{ID: "user-123", Username: "your-username", Email: "user@example.com", Role: core.RoleMember},
	}
)

// endDelay describes how fast the end of a credential takes effect.
const endDelay = "It takes effect on every server within one second, and ends WebSockets and streams within five."

func registerAuth(a *api.API, logins Logins) {
	api.Register(a, api.Operation{
		ID: "login", Method: http.MethodPost, Path: "/v1/auth/login", Tag: "Authentication", Summary: "Sign in",
		Description: "Returns an access token for one hour and a refresh token for 30 days. " +
			"Too many failed attempts with one username from one address, or too many attempts from one address, are " +
			"answered with 429.",
		Request: exampleCredentials, Response: exampleTokens,
		Errors: []core.Code{core.CodeUnauthorized, core.CodeRateLimited},
	}, func(ctx context.Context, in *loginInput) (*tokensOutput, error) {
		audit := api.Audit(ctx)
		audit.SetActor(&core.User{Username: api.Sanitize(in.Body.Username)})
		return newTokens(logins.Login(ctx, audit, in.Body.Username, in.Body.Password, api.RequestFrom(ctx).Address))
	})
	api.Register(a, api.Operation{
		ID: "refresh", Method: http.MethodPost, Path: "/v1/auth/refresh",
		Tag: "Authentication", Summary: "Get a new access token",
		Description: "Exchanges the refresh token in the body for new tokens. A refresh token is valid once; using it " +
			"again ends the whole session. Without a refresh token in the body, a valid access token is required: the reply " +
			"has a new access token of the same session, and no refresh token. A session ends at the age that the setting " +
			"--max-login-age specifies, 90 days by default, however often it is refreshed.",
		Request: refreshRequest{RefreshToken: exampleTokens.RefreshToken}, Response: exampleTokens,
		OptionalToken: true, Errors: []core.Code{core.CodeUnauthorized},
	}, func(ctx context.Context, in *refreshInput) (*tokensOutput, error) {
		return refresh(ctx, logins, in.Body)
	})
	api.Register(a, api.Operation{
		ID: "logout", Method: http.MethodPost, Path: "/v1/auth/logout", Tag: "Authentication", Summary: "Sign out",
		Description: "Ends the session with all its access and refresh tokens.",
		Access:      api.SignedIn, Status: http.StatusNoContent,
		Errors: []core.Code{core.CodeConflict},
	}, func(ctx context.Context, _ *struct{}) (*struct{}, error) {
		p := api.RequestFrom(ctx).Principal
		if p.Key != nil {
			return nil, core.Conflict("An API key has no session to end. To revoke the key, call DELETE /v1/api-keys/%s.",
				p.Key.ID).WithObject("API key", p.Key.ID)
		}
		audit := api.Audit(ctx)
		audit.SetTarget(p.LoginID)
		return nil, logins.Logout(ctx, audit, p.LoginID)
	})
	api.Register(a, api.Operation{
		ID: "end-sessions", Method: http.MethodPost, Path: "/v1/auth/end-sessions",
		Tag: "Authentication", Summary: "End all your sessions",
		Description: "Ends all your sessions, including this one, and deletes all your API keys. Use it if a password, " +
			"token or key may have been stolen, and change the password first. " + endDelay,
		Access: api.SignedIn, Status: http.StatusNoContent,
	}, func(ctx context.Context, _ *struct{}) (*struct{}, error) {
		userID := api.Actor(ctx).UserID
		audit := api.Audit(ctx)
		audit.SetTarget(userID)
		return nil, logins.EndSessions(ctx, audit, userID)
	})
	api.RegisterRepeatable(a, api.Operation{
		ID: "change-password", Method: http.MethodPost, Path: "/v1/auth/password",
		Tag: "Authentication", Summary: "Change your password",
		Description: "Ends all your other sessions. API keys stay valid; POST /v1/auth/end-sessions deletes them. " +
			"Too many wrong passwords in one session are answered with 429.", Access: api.SignedIn, Status: http.StatusNoContent,
		Request: passwordChange{Current: "your-password", New: "correct horse battery"},
		Errors:  []core.Code{core.CodeRateLimited},
	}, func(ctx context.Context, in *passwordInput) (*struct{}, error) {
		p := api.RequestFrom(ctx).Principal
		audit := api.Audit(ctx)
		audit.SetTarget(p.User.ID)
		return nil, logins.ChangePassword(ctx, audit, p, in.Body.Current, in.Body.New)
	}, replayNothing[passwordInput])
	api.Register(a, api.Operation{
		ID: "me", Method: http.MethodGet, Path: "/v1/auth/me", Tag: "Authentication", Summary: "Get the current user",
		Description: "Returns the user that the access token or API key belongs to.",
		Access:      api.SignedIn, AnyKey: true, Response: exampleUser,
	}, func(ctx context.Context, _ *struct{}) (*userOutput, error) {
		return &userOutput{Body: newUserBody(api.RequestFrom(ctx).Principal.User)}, nil
	})
}

// refresh exchanges the refresh token of the body, or else the access token of the request, for new
// tokens.
func refresh(ctx context.Context, logins Logins, body *refreshRequest) (*tokensOutput, error) {
	if body != nil && body.RefreshToken != "" {
		return newTokens(logins.Refresh(ctx, api.Audit(ctx), body.RefreshToken))
	}
	req := api.RequestFrom(ctx)
	switch {
	case req.AuthError == nil:
	case !errors.Is(req.AuthError, api.ErrNoToken):
		return nil, req.AuthError
	case body != nil:
		return nil, core.Invalid("refresh_token",
			"Field is required without a valid access token in the header Authorization: Bearer")
	default:
		return nil, &core.Error{
			Code: core.CodeUnauthorized,
			Message: "Authentication required: send refresh_token in the body, or a valid access token in the header " +
				"Authorization: Bearer",
		}
	}
	if req.Principal.Key != nil {
		return nil, &core.Error{
			Code: core.CodeUnauthorized, Message: "An API key cannot be refreshed. It is valid until it expires or is deleted.",
		}
	}
	api.Audit(ctx).SetTarget(req.Principal.LoginID)
	return newTokens(logins.Renew(ctx, req.Principal.LoginID))
}

func newTokens(t *core.Tokens, err error) (*tokensOutput, error) {
	if err != nil {
		return nil, err
	}
	return &tokensOutput{Body: tokens{
		AccessToken: t.Access, TokenType: "bearer", ExpiresIn: int64(t.ExpiresIn.Seconds()), RefreshToken: t.Refresh,
		User: account{ID: t.User.ID, Username: t.User.Username, Email: t.User.Email, Role: t.User.Role},
	}}, nil
}
