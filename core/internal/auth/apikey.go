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

// An API key is aak_<random part of its id>_<secret>, so that scanners of leaked
// secrets know it by its beginning, and it is found by its id.
const (
	keyMark     = "aak_"
	keyIDPrefix = "key-"
)

// useEvery is how far behind the time of the last use may be.
const useEvery = time.Minute

func isAPIKey(token string) bool { return strings.HasPrefix(token, keyMark) }

// keyID says which key it is, if it has the form of one.
func keyID(key string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(key, keyMark)
	name, secret, found := strings.Cut(rest, "_")
	return keyIDPrefix + name, ok && found && name != "" && len(name) <= 64 && secret != ""
}

// CreateAPIKey checks and stores a new key of k's user, name, scopes and end, fills
// in the rest, and gives the key itself, which nobody can have again. It fails with
// Invalid or Conflict.
func (a *Auth) CreateAPIKey(ctx context.Context, k *core.APIKey) (string, error) {
	now := a.clock()
	if err := checkKey(k, now); err != nil {
		return "", err
	}
	k.ID, k.CreatedAt = core.NewID("key"), now
	if !k.ExpiresAt.IsZero() {
		k.ExpiresAt = k.ExpiresAt.UTC().Truncate(time.Microsecond)
	}
	key := keyMark + strings.TrimPrefix(k.ID, keyIDPrefix) + "_" + strings.ToLower(rand.Text()+rand.Text())
	k.Hash = hashToken(key)
	core.SetAuditTarget(ctx, k.ID)
	if err := a.keys.CreateAPIKey(ctx, k); err != nil {
		return "", fmt.Errorf("store the API key: %w", err)
	}
	return key, nil
}

func checkKey(k *core.APIKey, now time.Time) error {
	if n := utf8.RuneCountInString(strings.TrimSpace(k.Name)); n < 1 || n > 100 {
		return core.Invalid("name", "Must be 1 to 100 characters long")
	}
	if len(k.Scopes) == 0 {
		return core.Invalid("scopes", "Must have at least one scope: * for all that you may do, or some of %s", scopeList())
	}
	for i, s := range k.Scopes {
		if !slices.Contains(core.Scopes(), s) {
			return core.Invalid(fmt.Sprintf("scopes[%d]", i), "There is no scope %q; there are: %s", s, scopeList())
		}
	}
	if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now) {
		return core.Invalid("expires_at", "Must be in the future, or left out for a key that does not expire")
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

// DeleteAPIKey has a key be of no use any more, at once on this server and within
// a second on others. It fails with NotFound.
func (a *Auth) DeleteAPIKey(ctx context.Context, v core.Actor, id string) error {
	err := a.keys.DeleteAPIKey(ctx, v, id)
	a.live.forget(id)
	return err
}

func (a *Auth) verifyKey(ctx context.Context, key string) (*core.Principal, error) {
	id, ok := keyID(key)
	if !ok {
		return nil, keyRefused(errors.New("not of the form of an API key"))
	}
	p, err := a.Live(ctx, id)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(hashToken(key), p.Key.Hash) != 1 {
		return nil, keyRefused(errors.New("the key's secret is wrong"))
	}
	a.noteUse(ctx, p.Key)
	return p, nil
}

// loadKey gives a key that is alive, with its user.
func (a *Auth) loadKey(ctx context.Context, id string) (*core.Principal, error) {
	k, err := a.keys.APIKey(ctx, core.Actor{Role: core.RoleAdmin}, id)
	if core.CodeOf(err) == core.CodeNotFound {
		return nil, keyRefused(err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the API key: %w", err)
	}
	if !k.ExpiresAt.IsZero() && !a.now().Before(k.ExpiresAt) {
		return nil, keyRefused(errors.New("the key has expired"))
	}
	u, err := a.loadUser(ctx, k.UserID)
	if err != nil {
		return nil, err
	}
	return &core.Principal{User: u, Key: k, ExpiresAt: k.ExpiresAt}, nil
}

// noteUse keeps when the key was used. A database that can't be written is no
// reason to refuse what only reads.
func (a *Auth) noteUse(ctx context.Context, k *core.APIKey) {
	now := a.clock()
	a.uses.Lock()
	last := a.lastUse[k.ID]
	due := now.Sub(k.LastUsedAt) >= useEvery && now.Sub(last) >= useEvery
	if due {
		if len(a.lastUse) >= maxLive {
			clear(a.lastUse)
		}
		a.lastUse[k.ID] = now
	}
	a.uses.Unlock()
	if due {
		_ = a.keys.SetAPIKeyLastUsed(ctx, k.ID, now)
	}
}

func keyRefused(cause error) *core.Error {
	return &core.Error{
		Code: core.CodeUnauthorized, Message: "The API key is invalid, has expired or was deleted: use another", Err: cause,
	}
}
