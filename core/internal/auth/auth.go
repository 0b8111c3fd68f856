package auth

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// grace is how long a refresh token's direct predecessor still gives it.
const grace = 5 * time.Second

// Options say how to authenticate.
type Options struct {
	Users  core.UserStore
	Logins core.LoginStore
	Keys   core.APIKeyStore
	// Rates counts sign-ins.
	Rates core.RateCounter
	// Secret is the root key, at least 32 bytes; the keys in use are derived from it.
	Secret []byte
	// OldSecrets are root keys of before: tokens that were made with them are still good.
	OldSecrets [][]byte
	// Now is the clock; time.Now unless set.
	Now func() time.Time
	// AccessTTL is how long an access token lives; an hour unless set.
	AccessTTL time.Duration
	// RefreshTTL is how long a refresh token lives; 30 days unless set.
	RefreshTTL time.Duration
	// Issuer and Audience are those of the access tokens; agentarea unless set.
	Issuer, Audience string
	// NameFailures is how many sign-ins a minute may fail, or be under way, for
	// one username; 10 unless set, and negative for no limit.
	NameFailures int
	// AddressAttempts is how many sign-ins a minute one address (of IPv6 a /64)
	// may try; 30 unless set, and negative for no limit.
	AddressAttempts int
}

func (o *Options) fill() {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.AccessTTL = orDefault(o.AccessTTL, time.Hour)
	o.RefreshTTL = orDefault(o.RefreshTTL, 30*24*time.Hour)
	o.Issuer = orDefault(o.Issuer, "agentarea")
	o.Audience = orDefault(o.Audience, "agentarea")
	o.NameFailures = orDefault(o.NameFailures, 10)
	o.AddressAttempts = orDefault(o.AddressAttempts, 30)
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Auth signs users in and says who a token belongs to.
type Auth struct {
	users      core.UserStore
	logins     core.LoginStore
	keys       core.APIKeyStore
	now        func() time.Time
	accessTTL  time.Duration
	refreshTTL time.Duration
	access     *accessTokens
	refresh    refreshTokens
	passwords  *passwords
	live       *liveLogins
	// lastUse is when the use of an API key was last stored.
	uses      sync.Mutex
	lastUse   map[string]time.Time
	names     *limiter
	addresses *limiter
}

// New makes an Auth. It fails when the secret is too short.
func New(o Options) (*Auth, error) {
	o.fill()
	access := newAccessTokens(o)
	var refresh refreshTokens
	for _, secret := range append([][]byte{o.Secret}, o.OldSecrets...) {
		k, err := deriveKeys(secret)
		if err != nil {
			return nil, err
		}
		access.add(k.id, k.signing)
		refresh.keys = append(refresh.keys, k.refreshing)
	}
	pw, err := newPasswords()
	if err != nil {
		return nil, err
	}
	return &Auth{
		users:      o.Users,
		logins:     o.Logins,
		keys:       o.Keys,
		now:        o.Now,
		accessTTL:  o.AccessTTL,
		refreshTTL: o.RefreshTTL,
		access:     access,
		refresh:    refresh,
		passwords:  pw,
		live:       newLiveLogins(o.Now),
		lastUse:    map[string]time.Time{},
		names:      &limiter{counter: o.Rates, limit: core.RateLimit{PerMinute: o.NameFailures}, prefix: "login name "},
		addresses:  &limiter{counter: o.Rates, limit: core.RateLimit{PerMinute: o.AddressAttempts}, prefix: "login address "},
	}, nil
}

// tokenKeys are derived from a root key.
type tokenKeys struct {
	id                  string
	signing, refreshing []byte
}

func deriveKeys(secret []byte) (*tokenKeys, error) {
	if len(secret) < 32 {
		return nil, fmt.Errorf("the secret key has %d bytes and must have at least 32", len(secret))
	}
	signing, err := hkdf.Key(sha256.New, secret, nil, "agentarea access token v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the signing key: %w", err)
	}
	refreshing, err := hkdf.Key(sha256.New, secret, nil, "agentarea refresh token v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the refresh key: %w", err)
	}
	kid, err := hkdf.Key(sha256.New, secret, nil, "agentarea access token key id v1", 8)
	if err != nil {
		return nil, fmt.Errorf("derive the key id: %w", err)
	}
	return &tokenKeys{id: hex.EncodeToString(kid), signing: signing, refreshing: refreshing}, nil
}

// Verify says who an access token or API key belongs to. It fails with
// Unauthorized unless it is ours and alive, the token's login has not ended and
// its user may sign in.
func (a *Auth) Verify(ctx context.Context, token string) (*core.Principal, error) {
	if isAPIKey(token) {
		return a.verifyKey(ctx, token)
	}
	c, err := a.access.parse(token)
	if err != nil {
		return nil, &core.Error{
			Code: core.CodeUnauthorized, Message: "The access token is invalid or has expired: sign in again", Err: err,
		}
	}
	p, err := a.Live(ctx, c.LoginID)
	if err != nil {
		return nil, err
	}
	if p.User.ID != c.Subject {
		return nil, ended(errors.New("the token's subject is not its login's user"))
	}
	own := *p
	own.ExpiresAt = c.ExpiresAt.Time
	return &own, nil
}

// Live says whose credential it is: a login or an API key. It fails with
// Unauthorized when it has ended or its user may not sign in; what it says may be
// up to a second old.
func (a *Auth) Live(ctx context.Context, credential string) (*core.Principal, error) {
	if p := a.live.get(credential); p != nil {
		return p, nil
	}
	// The age of an entry counts from before the stores are asked.
	asked := a.live.ask()
	load := a.loadLogin
	if strings.HasPrefix(credential, keyIDPrefix) {
		load = a.loadKey
	}
	p, err := load(ctx, credential)
	if err != nil {
		return nil, err
	}
	a.live.put(credential, p, asked)
	return p, nil
}

func (a *Auth) loadLogin(ctx context.Context, id string) (*core.Principal, error) {
	l, u, err := a.load(ctx, id)
	if err != nil {
		return nil, err
	}
	return &core.Principal{User: u, LoginID: l.ID}, nil
}

// load gives a login that is alive, with its user.
func (a *Auth) load(ctx context.Context, loginID string) (*core.Login, *core.User, error) {
	l, err := a.logins.Login(ctx, loginID)
	if core.CodeOf(err) == core.CodeNotFound {
		return nil, nil, ended(err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the login: %w", err)
	}
	if !l.EndedAt.IsZero() || !a.now().Before(l.ExpiresAt) {
		return nil, nil, ended(nil)
	}
	u, err := a.loadUser(ctx, l.UserID)
	return l, u, err
}

// loadUser gives a user who may sign in.
func (a *Auth) loadUser(ctx context.Context, id string) (*core.User, error) {
	u, err := a.users.User(ctx, id)
	if core.CodeOf(err) == core.CodeNotFound {
		return nil, ended(err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the user: %w", err)
	}
	if u.Disabled {
		return nil, ended(errors.New("the user is disabled"))
	}
	return u, nil
}

func ended(cause error) *core.Error {
	return &core.Error{Code: core.CodeUnauthorized, Message: "The session has ended: sign in again", Err: cause}
}
