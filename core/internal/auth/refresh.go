package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
)

// refreshTokens derives and verifies refresh tokens of the form
// rt_<login id>.<generation and MAC>.
type refreshTokens struct {
	// keys has the current key and then older keys, whose tokens are still accepted.
	keys [][]byte
}

// derive returns the token of a generation, with the current key.
func (r refreshTokens) derive(loginID string, generation int64) string {
	return deriveRefresh(r.keys[0], loginID, generation)
}

// current returns the current token of a login. It uses the key that matches the stored hash, which
// can be an older one.
func (r refreshTokens) current(l *core.Login) string {
	for _, key := range r.keys {
		token := deriveRefresh(key, l.ID, l.Generation)
		if subtle.ConstantTimeCompare(hashToken(token), l.RefreshHash) == 1 {
			return token
		}
	}
	return r.derive(l.ID, l.Generation)
}

func deriveRefresh(key []byte, loginID string, generation int64) string {
	var g [8]byte
	binary.BigEndian.PutUint64(g[:], uint64(generation)) //nolint:gosec // only the bits matter
	payload := append(g[:], refreshMAC(key, loginID, g[:])...)
	return "rt_" + loginID + "." + base64.RawURLEncoding.EncodeToString(payload)
}

func refreshMAC(key []byte, loginID string, generation []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(loginID))
	m.Write([]byte{0})
	m.Write(generation)
	return m.Sum(nil)
}

// parse returns the login id and generation of a token. ok is false if the token is not valid.
func (r refreshTokens) parse(token string) (loginID string, generation int64, ok bool) {
	rest, ok := strings.CutPrefix(token, "rt_")
	// encoding/base64 ignores line breaks, so that several texts would be the same token.
	if !ok || strings.ContainsAny(token, "\r\n") {
		return "", 0, false
	}
	loginID, encoded, ok := strings.Cut(rest, ".")
	if !ok {
		return "", 0, false
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(payload) != 8+sha256.Size {
		return "", 0, false
	}
	for _, key := range r.keys {
		if hmac.Equal(payload[8:], refreshMAC(key, loginID, payload[:8])) {
			return loginID, int64(binary.BigEndian.Uint64(payload)), true //nolint:gosec // derive converted it from int64
		}
	}
	return "", 0, false
}

func hashToken(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// Refresh exchanges a refresh token for an access token and the next refresh token. It fails with
// Unauthorized if the token is invalid. If the token was already used, it also ends the login.
func (a *Auth) Refresh(ctx context.Context, audit *core.AuditRecord, token string) (*core.Tokens, error) {
	loginID, generation, ok := a.refresh.parse(token)
	if !ok {
		return nil, invalidRefresh(errors.New("not a refresh token of this server"))
	}
	for {
		l, u, err := a.load(ctx, loginID)
		if err != nil {
			return nil, err
		}
		audit.SetActor(u)
		audit.SetTarget(loginID)
		switch {
		case generation == l.Generation:
			if subtle.ConstantTimeCompare(hashToken(token), l.RefreshHash) != 1 {
				return nil, invalidRefresh(errors.New("the token does not belong to the login"))
			}
			next, err := a.rotate(ctx, audit, l)
			if core.CodeOf(err) == core.CodeConflict {
				continue // a concurrent request rotated the token or ended the login
			}
			if err != nil {
				return nil, err
			}
			return a.refreshed(u, next)
		case generation == l.Generation-1 && a.now().Sub(l.RotatedAt) <= grace:
			return a.refreshed(u, l)
		default:
			if err := a.Logout(ctx, audit, loginID); err != nil {
				return nil, err
			}
			return nil, invalidRefresh(fmt.Errorf("generation %d was presented again at generation %d; the login is ended",
				generation, l.Generation))
		}
	}
}

// rotate stores and returns the next generation of a login. It fails with Conflict if the login has
// changed.
func (a *Auth) rotate(ctx context.Context, audit *core.AuditRecord, l *core.Login) (*core.Login, error) {
	next := *l
	now := a.clock()
	next.Generation++
	next.RefreshHash = hashToken(a.refresh.derive(l.ID, next.Generation))
	next.RotatedAt = now
	next.ExpiresAt = now.Add(a.refreshTTL)
	next.ExpiresAt = a.expiry(&next)
	if err := a.logins.RotateLogin(ctx, audit, &next); err != nil {
		return nil, fmt.Errorf("rotate the refresh token: %w", err)
	}
	return &next, nil
}

// Renew returns a new access token of an active login, and no refresh token: someone who obtains an access
// token must not be able to extend it for as long as a refresh token is valid.
func (a *Auth) Renew(ctx context.Context, loginID string) (*core.Tokens, error) {
	l, u, err := a.load(ctx, loginID)
	if err != nil {
		return nil, err
	}
	return a.tokens(u, l)
}

// Logout ends a login and all its tokens.
func (a *Auth) Logout(ctx context.Context, audit *core.AuditRecord, loginID string) error {
	err := a.logins.EndLogin(ctx, audit, loginID, a.clock())
	a.live.forget(loginID)
	if err != nil && core.CodeOf(err) != core.CodeNotFound {
		return fmt.Errorf("end the login: %w", err)
	}
	return nil
}

// tokens returns an access token of a login, which expires with the login at the latest.
func (a *Auth) tokens(u *core.User, l *core.Login) (*core.Tokens, error) {
	ttl := min(a.accessTTL, a.expiry(l).Sub(a.now()))
	access, err := a.access.sign(u.ID, l.ID, ttl)
	if err != nil {
		return nil, err
	}
	return &core.Tokens{Access: access, ExpiresIn: ttl, User: u}, nil
}

// refreshed returns an access token of a login, and its current refresh token.
func (a *Auth) refreshed(u *core.User, l *core.Login) (*core.Tokens, error) {
	tokens, err := a.tokens(u, l)
	if err != nil {
		return nil, err
	}
	tokens.Refresh = a.refresh.current(l)
	return tokens, nil
}

// clock returns the current time with the precision of the stores.
func (a *Auth) clock() time.Time { return a.now().UTC().Truncate(time.Microsecond) }

func invalidRefresh(cause error) *core.Error {
	return &core.Error{
		Code:    core.CodeUnauthorized,
		Message: "The refresh token is invalid, expired or already used. Sign in again.", Err: cause,
	}
}
