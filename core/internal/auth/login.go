package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// Login signs a user in. address is the client's IP address. It fails with the same Unauthorized
// for an unknown user, a wrong password and a disabled user, with RateLimited over the limits, and
// with Unavailable while too many sign-ins are in progress.
func (a *Auth) Login(
	ctx context.Context, audit *core.AuditRecord, username, password, address string,
) (*core.Tokens, error) {
	// Stored names are not longer, and the keys of a limiter must be short.
	from := core.AddressKey(address)
	name := strings.ToLower(username[:min(len(username), 64)]) + " " + from
	if err := a.addresses.take(ctx, from); err != nil {
		return nil, err
	}
	if err := a.names.take(ctx, name); err != nil {
		return nil, err
	}
	u, err := a.authenticate(ctx, username, password)
	if core.CodeOf(err) == core.CodeUnauthorized {
		return nil, err
	}
	if err != nil {
		return nil, errors.Join(err, a.names.refund(ctx, name))
	}
	if err := a.names.reset(ctx, name); err != nil {
		return nil, err
	}
	audit.SetActor(u)
	l, err := a.newLogin(ctx, audit, u)
	if err != nil {
		return nil, err
	}
	return a.refreshed(u, l)
}

func (a *Auth) authenticate(ctx context.Context, username, password string) (*core.User, error) {
	u, err := a.users.UserByName(ctx, username)
	hash := ""
	switch {
	case err == nil:
		hash = u.PasswordHash
	case core.CodeOf(err) != core.CodeNotFound:
		return nil, fmt.Errorf("read the user: %w", err)
	}
	ok, err := a.passwords.matches(ctx, password, hash)
	if err != nil {
		return nil, err
	}
	if !ok || u.Disabled {
		return nil, &core.Error{
			Code: core.CodeUnauthorized, Message: "Wrong username or password", Err: errors.New("sign-in refused"),
		}
	}
	return u, nil
}

func (a *Auth) newLogin(ctx context.Context, audit *core.AuditRecord, u *core.User) (*core.Login, error) {
	now := a.clock()
	l := &core.Login{
		ID: core.NewID("login"), UserID: u.ID, Generation: 1,
		RotatedAt: now, CreatedAt: now, ExpiresAt: now.Add(a.refreshTTL),
	}
	l.ExpiresAt = a.expiry(l)
	audit.SetTarget(l.ID)
	l.RefreshHash = hashToken(a.refresh.derive(l.ID, l.Generation))
	if err := a.logins.CreateLogin(ctx, audit, l); err != nil {
		return nil, fmt.Errorf("store the login: %w", err)
	}
	return l, nil
}
