package auth

import (
	"cmp"
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

// grace is the time for which the direct predecessor of a refresh token is accepted.
const grace = 5 * time.Second

// Options configure an Auth.
type Options struct {
	Users  core.UserStore
	Logins core.LoginStore
	Keys   core.APIKeyStore
	// Rates counts sign-in attempts.
	Rates core.RateCounter
	// Secret is the root key of at least 32 bytes. All other keys are derived from it.
	Secret []byte
	// OldSecrets are previous root keys. Tokens that were signed with them stay valid.
	OldSecrets [][]byte
	// Now returns the current time. Default: time.Now.
	Now func() time.Time
	// AccessTTL is the lifetime of an access token. Default: 1 hour.
	AccessTTL time.Duration
	// RefreshTTL is the lifetime of a refresh token. Default: 30 days.
	RefreshTTL time.Duration
	// MaxLoginAge is how long a login can be extended by refresh tokens, counted from the sign-in.
	// Default: 90 days.
	MaxLoginAge time.Duration
	// Issuer and Audience are claims of the access tokens. Default: agentarea.
	Issuer, Audience string
	// NameFailures is the maximum number of failed or active sign-ins per minute with one username from one
	// address, and of failed changes of a password per minute with one login. Default: 10. Negative: no limit.
	NameFailures int
	// AddressAttempts is the maximum number of sign-ins per minute from an address (a /64 network
	// for IPv6). Default: 30. Negative: no limit.
	AddressAttempts int
}

// setDefaults fills in the fields that are not set.
func (o *Options) setDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.AccessTTL = cmp.Or(o.AccessTTL, time.Hour)
	o.RefreshTTL = cmp.Or(o.RefreshTTL, 30*24*time.Hour)
	o.MaxLoginAge = cmp.Or(o.MaxLoginAge, 90*24*time.Hour)
	o.Issuer = cmp.Or(o.Issuer, "agentarea")
	o.Audience = cmp.Or(o.Audience, "agentarea")
	o.NameFailures = cmp.Or(o.NameFailures, 10)
	o.AddressAttempts = cmp.Or(o.AddressAttempts, 30)
}

// Auth signs users in and authenticates tokens. Its methods may be called concurrently.
type Auth struct {
	users      core.UserStore
	logins     core.LoginStore
	keys       core.APIKeyStore
	now        func() time.Time
	accessTTL  time.Duration
	refreshTTL time.Duration
	maxAge     time.Duration
	access     *accessTokens
	refresh    refreshTokens
	passwords  *passwords
	live       *liveLogins
	// lastUse has the stored times of last use by API key id. usesMu guards it.
	usesMu  sync.Mutex
	lastUse map[string]time.Time
	// names counts failures by username and address, so that nobody can lock out a user at another address.
	names     *limiter
	addresses *limiter
	changes   *limiter
}

// New returns an Auth. It fails if a secret is shorter than 32 bytes.
func New(o Options) (*Auth, error) {
	o.setDefaults()
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
		maxAge:     o.MaxLoginAge,
		access:     access,
		refresh:    refresh,
		passwords:  pw,
		live:       newLiveLogins(o.Now),
		lastUse:    map[string]time.Time{},
		names:      newLimiter(o.Rates, o.NameFailures, "login name ", "sign-in attempts"),
		addresses:  newLimiter(o.Rates, o.AddressAttempts, "login address ", "sign-in attempts"),
		changes:    newLimiter(o.Rates, o.NameFailures, "password ", "wrong passwords"),
	}, nil
}

// tokenKeys are the keys for tokens that are derived from a root key.
type tokenKeys struct {
	id                  string
	signing, refreshing []byte
}

func deriveKeys(secret []byte) (*tokenKeys, error) {
	if len(secret) < 32 {
		return nil, fmt.Errorf("the secret key has %d bytes; it must have at least 32", len(secret))
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

// Verify returns the principal of an access token or API key. It fails with Unauthorized if the
// token is invalid or expired, its login has ended, or its user is disabled.
func (a *Auth) Verify(ctx context.Context, token string) (*core.Principal, error) {
	if isAPIKey(token) {
		return a.verifyKey(ctx, token)
	}
	c, err := a.access.parse(token)
	if err != nil {
		return nil, &core.Error{
			Code: core.CodeUnauthorized, Message: "The access token is invalid or expired. Sign in again.", Err: err,
		}
	}
	p, err := a.Live(ctx, c.LoginID)
	if err != nil {
		return nil, err
	}
	if p.User.ID != c.Subject {
		return nil, loginEnded(errors.New("the subject of the token is not the user of its login"))
	}
	own := *p
	own.ExpiresAt = c.ExpiresAt.Time
	return &own, nil
}

// ForgetAll makes the next use of each credential read its user again. Changes of users elsewhere take effect
// within a second without it.
func (a *Auth) ForgetAll() { a.live.forgetAll() }

// Live returns the principal of a login or API key, given its id. It fails with Unauthorized if the
// credential has ended or its user is disabled. The result may be up to a second old.
func (a *Auth) Live(ctx context.Context, credential string) (*core.Principal, error) {
	if p := a.live.get(credential); p != nil {
		return p, nil
	}
	// The age of an entry counts from before the stores are read.
	mark := a.live.mark()
	load := a.loadLogin
	if strings.HasPrefix(credential, keyIDPrefix) {
		load = a.loadKey
	}
	p, err := load(ctx, credential)
	if err != nil {
		return nil, err
	}
	a.live.put(credential, p, mark)
	return p, nil
}

func (a *Auth) loadLogin(ctx context.Context, id string) (*core.Principal, error) {
	l, u, err := a.load(ctx, id)
	if err != nil {
		return nil, err
	}
	return &core.Principal{User: u, LoginID: l.ID}, nil
}

// load returns an active login and its user.
func (a *Auth) load(ctx context.Context, loginID string) (*core.Login, *core.User, error) {
	l, err := a.logins.Login(ctx, loginID)
	if core.CodeOf(err) == core.CodeNotFound {
		return nil, nil, loginEnded(err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the login: %w", err)
	}
	if !l.EndedAt.IsZero() || !a.now().Before(a.expiry(l)) {
		return nil, nil, loginEnded(nil)
	}
	u, err := a.loadUser(ctx, l.UserID)
	return l, u, err
}

// expiry returns when a login ends: when its refresh token expires, or at the maximum age, whichever is
// earlier. The maximum age is applied on each read, so that a lower setting ends existing logins.
func (a *Auth) expiry(l *core.Login) time.Time {
	oldest := l.CreatedAt.Add(a.maxAge)
	if oldest.Before(l.ExpiresAt) {
		return oldest
	}
	return l.ExpiresAt
}

// loadUser returns a user who is not disabled.
func (a *Auth) loadUser(ctx context.Context, id string) (*core.User, error) {
	u, err := a.users.User(ctx, id)
	if core.CodeOf(err) == core.CodeNotFound {
		return nil, loginEnded(err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the user: %w", err)
	}
	if u.Disabled {
		return nil, loginEnded(errors.New("the user is disabled"))
	}
	return u, nil
}

func loginEnded(cause error) *core.Error {
	return &core.Error{Code: core.CodeUnauthorized, Message: "The session has ended. Sign in again.", Err: cause}
}
