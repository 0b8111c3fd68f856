package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agentarea/agentarea/core"
)

// An API key has the form aak_<random part of its id>_<secret>. Secret scanners recognize the
// prefix, and the store finds the key by its id.
const (
	keyPrefix   = "aak_"
	keyIDPrefix = "key-"
)

// lastUsedInterval is the precision of the stored time of last use.
const lastUsedInterval = time.Minute

func isAPIKey(token string) bool { return strings.HasPrefix(token, keyPrefix) }

// keyID returns the id in an API key. ok is false if key does not have the form of an API key.
func keyID(key string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(key, keyPrefix)
	name, secret, found := strings.Cut(rest, "_")
	return keyIDPrefix + name, ok && found && name != "" && len(name) <= 64 && secret != ""
}

// CreateAPIKey validates and stores a new key with k's user, name, scopes and expiry, and fills in
// the other fields of k. If the request was authenticated by an API key, that key is the parent: the new
// key has none but its scopes, expires with it at the latest, and is deleted with it. CreateAPIKey returns
// the key itself, which is not stored. It fails with Invalid or Conflict, and with Unauthorized if the
// parent was deleted.
func (a *Auth) CreateAPIKey(
	ctx context.Context, audit *core.AuditRecord, parent, k *core.APIKey,
) (string, error) {
	now := a.clock()
	if err := checkKey(k, now); err != nil {
		return "", err
	}
	if parent != nil {
		if err := inherit(parent, k); err != nil {
			return "", err
		}
	}
	k.ID, k.CreatedAt = core.NewID("key"), now
	if !k.ExpiresAt.IsZero() {
		k.ExpiresAt = k.ExpiresAt.UTC().Truncate(time.Microsecond)
	}
	key := keyPrefix + strings.TrimPrefix(k.ID, keyIDPrefix) + "_" + strings.ToLower(rand.Text()+rand.Text())
	k.Hash = hashToken(key)
	audit.SetTarget(k.ID)
	err := a.keys.CreateAPIKey(ctx, audit, k)
	if core.CodeOf(err) == core.CodeNotFound {
		return "", invalidKey(err)
	}
	if err != nil {
		return "", fmt.Errorf("store the API key: %w", err)
	}
	return key, nil
}

// inherit makes k a child of parent. It fails with Invalid if k would allow more than parent or for longer.
func inherit(parent, k *core.APIKey) error {
	for i, s := range k.Scopes {
		if !parent.Covers(s) {
			return core.Invalid(fmt.Sprintf("scopes[%d]", i),
				"The API key that you use does not have the scope %q, so it cannot create a key that has it", s)
		}
	}
	if k.ParentID = parent.ID; parent.ExpiresAt.IsZero() {
		return nil
	}
	if k.ExpiresAt.After(parent.ExpiresAt) {
		return core.Invalid("expires_at", "Must not be after %s, when the API key that you use expires",
			parent.ExpiresAt.Format(time.RFC3339Nano))
	}
	if k.ExpiresAt.IsZero() {
		k.ExpiresAt = parent.ExpiresAt
	}
	return nil
}

func checkKey(k *core.APIKey, now time.Time) error {
	if n := utf8.RuneCountInString(strings.TrimSpace(k.Name)); n < 1 || n > 100 {
		return core.Invalid("name", "Must be 1 to 100 characters long")
	}
	if len(k.Scopes) == 0 {
		return core.Invalid("scopes", "Must contain at least one scope: \"*\" for everything that you may do, or some of %s",
			scopeList())
	}
	for i, s := range k.Scopes {
		if !slices.Contains(core.Scopes(), s) {
			return core.Invalid(fmt.Sprintf("scopes[%d]", i), "Unknown scope %q. Available scopes: %s", s, scopeList())
		}
	}
	if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now) {
		return core.Invalid("expires_at", "Must be in the future. Omit it for a key that does not expire")
	}
	return nil
}

func scopeList() string {
	var names []string
	for _, s := range core.Scopes() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// DeleteAPIKey revokes a key and the keys that were created with it, immediately on this server and within a
// second on other replicas. It fails with NotFound.
func (a *Auth) DeleteAPIKey(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) error {
	err := a.keys.DeleteAPIKey(ctx, audit, v, id)
	a.live.forgetAll()
	return err
}

func (a *Auth) verifyKey(ctx context.Context, key string) (*core.Principal, error) {
	id, ok := keyID(key)
	if !ok {
		return nil, invalidKey(errors.New("malformed API key"))
	}
	p, err := a.Live(ctx, id)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(hashToken(key), p.Key.Hash) != 1 {
		return nil, invalidKey(errors.New("wrong secret"))
	}
	a.recordUse(ctx, p.Key)
	return p, nil
}

// loadKey returns the principal of a valid key.
func (a *Auth) loadKey(ctx context.Context, id string) (*core.Principal, error) {
	k, err := a.keys.APIKey(ctx, core.Actor{Role: core.RoleAdmin}, id)
	if core.CodeOf(err) == core.CodeNotFound {
		return nil, invalidKey(err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the API key: %w", err)
	}
	if !k.ExpiresAt.IsZero() && !a.now().Before(k.ExpiresAt) {
		return nil, invalidKey(errors.New("the key has expired"))
	}
	u, err := a.loadUser(ctx, k.UserID)
	if err != nil {
		return nil, err
	}
	return &core.Principal{User: u, Key: k, ExpiresAt: k.ExpiresAt}, nil
}

// recordUse stores the time of the key's last use. It ignores errors, so that reads work while the
// database cannot be written.
func (a *Auth) recordUse(ctx context.Context, k *core.APIKey) {
	now := a.clock()
	a.usesMu.Lock()
	last := a.lastUse[k.ID]
	due := now.Sub(k.LastUsedAt) >= lastUsedInterval && now.Sub(last) >= lastUsedInterval
	if due {
		if len(a.lastUse) >= maxLive {
			clear(a.lastUse)
		}
		a.lastUse[k.ID] = now
	}
	a.usesMu.Unlock()
	if due {
		_ = a.keys.SetAPIKeyLastUsed(ctx, k.ID, now)
	}
}

func invalidKey(cause error) *core.Error {
	return &core.Error{
		Code: core.CodeUnauthorized, Message: "The API key is invalid, expired or deleted. Use another key.", Err: cause,
	}
}
