package auth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

func (b *env) ann(t *testing.T) *core.User {
	t.Helper()
	u, err := b.store.UserByName(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (b *env) newKey(t *testing.T, expires time.Time, scopes ...core.Scope) (*core.APIKey, string) {
	t.Helper()
	k := &core.APIKey{UserID: b.ann(t).ID, Name: "ci", Scopes: scopes, ExpiresAt: expires}
	key, err := b.CreateAPIKey(t.Context(), nil, nil, k)
	if err != nil {
		t.Fatal(err)
	}
	return k, key
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	k, key := b.newKey(t, time.Time{}, "agents:read", "chat:write")
	if !strings.HasPrefix(key, "aak_") || strings.Contains(string(k.Hash), key) {
		t.Errorf("key = %q, hash = %q, want the prefix aak_ and a hash without the key", key, k.Hash)
	}
	p, err := b.Verify(t.Context(), key)
	if err != nil || p.User.Username != "ann" || p.LoginID != "" || p.Credential() != k.ID {
		t.Fatalf("Verify = %+v, %v, want ann with the credential %s", p, err, k.ID)
	}
	for _, c := range []struct {
		resource core.Resource
		write    bool
		want     bool
	}{
		{core.ResourceAgents, false, true},
		{core.ResourceAgents, true, false},
		{core.ResourceChat, false, true},
		{core.ResourceChat, true, true},
		{core.ResourceFiles, false, false},
		{core.ResourceAccount, false, false},
		{core.ResourceNone, true, true},
	} {
		if p.Allows(c.resource, c.write) != c.want {
			t.Errorf("Allows(%s, write %v): want %v", c.resource, c.write, c.want)
		}
	}
}

func TestInvalidAPIKeys(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	k, key := b.newKey(t, b.clock.now().Add(time.Hour), core.ScopeAll)
	_, other := b.newKey(t, time.Time{}, core.ScopeAll)
	secret := key[strings.LastIndexByte(key, '_'):]
	for _, bad := range []string{
		"aak_", "aak__", "aak_x", "aak_" + secret, key + "a", key[:len(key)-1], strings.ToUpper(key), "aak_none" + secret,
		other[:strings.LastIndexByte(other, '_')] + secret, "aak_" + strings.Repeat("x", 1<<16) + secret,
	} {
		if _, err := b.Verify(t.Context(), bad); core.CodeOf(err) != core.CodeUnauthorized {
			t.Errorf("Verify(%.80q): got error %v, want code %s", bad, err, core.CodeUnauthorized)
		}
	}
	b.clock.pass(time.Hour - time.Second)
	if _, err := b.Verify(t.Context(), key); err != nil {
		t.Errorf("Verify a second before the expiry: %v", err)
	}
	b.clock.pass(time.Second)
	_, err := b.Verify(t.Context(), key)
	wantCode(t, err, core.CodeUnauthorized)
	_, err = b.Live(t.Context(), k.ID)
	wantCode(t, err, core.CodeUnauthorized)
}

func TestAPIKeyIsRevokedAtOnce(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	k, key := b.newKey(t, time.Time{}, core.ScopeAll)
	if _, err := b.Verify(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteAPIKey(t.Context(), nil, core.Actor{UserID: k.UserID}, k.ID); err != nil {
		t.Fatal(err)
	}
	_, err := b.Verify(t.Context(), key)
	wantCode(t, err, core.CodeUnauthorized)

	_, key = b.newKey(t, time.Time{}, core.ScopeAll)
	if _, err := b.Verify(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := b.UpdateUser(t.Context(), nil, k.UserID, core.UserUpdate{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	_, err = b.Verify(t.Context(), key)
	wantCode(t, err, core.CodeUnauthorized)
	if _, err := b.UpdateUser(t.Context(), nil, k.UserID, core.UserUpdate{Disabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err = b.Verify(t.Context(), key); err != nil {
		t.Errorf("Verify after the user was enabled again: %v", err)
	}
}

// TestAPIKeyLastUsed checks that the time of last use is stored at most once a minute.
func TestAPIKeyLastUsed(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	k, key := b.newKey(t, time.Time{}, core.ScopeAll)
	first := b.clock.now()
	for _, c := range []struct {
		pass time.Duration
		want time.Time
	}{{0, first}, {30 * time.Second, first}, {30 * time.Second, first.Add(time.Minute)}} {
		b.clock.pass(c.pass)
		if _, err := b.Verify(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		stored, err := b.store.APIKey(t.Context(), core.Actor{Role: core.RoleAdmin}, k.ID)
		if err != nil || !stored.LastUsedAt.Equal(c.want) {
			t.Errorf("last used at %v, want %v (%v)", stored.LastUsedAt, c.want, err)
		}
	}
}

func TestCreateAPIKeyValidatesItsInput(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	for field, k := range map[string]core.APIKey{
		"name":       {Name: " ", Scopes: []core.Scope{core.ScopeAll}},
		"scopes":     {Name: "ci"},
		"scopes[1]":  {Name: "ci", Scopes: []core.Scope{core.ScopeAll, "agents"}},
		"expires_at": {Name: "ci", Scopes: []core.Scope{core.ScopeAll}, ExpiresAt: b.clock.now()},
	} {
		_, err := b.CreateAPIKey(t.Context(), nil, nil, &k)
		wantField(t, err, field)
	}
}

// TestChildKeys checks what a key that was created with another key may have.
func TestChildKeys(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	now := b.clock.now()
	hour := now.Add(time.Hour)
	for name, c := range map[string]struct {
		parent, child core.APIKey
		// expires is the expiry of the child, and field the invalid field.
		expires time.Time
		field   string
	}{
		"no expiry": {core.APIKey{Scopes: []core.Scope{"*"}}, core.APIKey{Scopes: []core.Scope{"*"}}, time.Time{}, ""},
		"inherited expiry": {
			core.APIKey{Scopes: []core.Scope{"*"}, ExpiresAt: hour},
			core.APIKey{Scopes: []core.Scope{"*"}},
			hour, "",
		},
		"earlier expiry": {
			core.APIKey{Scopes: []core.Scope{"*"}, ExpiresAt: hour},
			core.APIKey{Scopes: []core.Scope{"agents:read"}, ExpiresAt: now.Add(time.Minute)},
			now.Add(time.Minute), "",
		},
		"same expiry": {
			core.APIKey{Scopes: []core.Scope{"*"}, ExpiresAt: hour},
			core.APIKey{Scopes: []core.Scope{"*"}, ExpiresAt: hour},
			hour, "",
		},
		"later expiry": {
			core.APIKey{Scopes: []core.Scope{"*"}, ExpiresAt: hour},
			core.APIKey{Scopes: []core.Scope{"*"}, ExpiresAt: hour.Add(time.Microsecond)},
			time.Time{},
			"expires_at",
		},
		"fewer scopes": {
			core.APIKey{Scopes: []core.Scope{"agents:write", "chat:read"}},
			core.APIKey{Scopes: []core.Scope{"agents:read", "chat:read"}},
			time.Time{},
			"",
		},
		"all scopes": {
			core.APIKey{Scopes: []core.Scope{"agents:write"}},
			core.APIKey{Scopes: []core.Scope{"agents:read", "*"}},
			time.Time{},
			"scopes[1]",
		},
		"write for read": {
			core.APIKey{Scopes: []core.Scope{"agents:read"}},
			core.APIKey{Scopes: []core.Scope{"agents:write"}},
			time.Time{},
			"scopes[0]",
		},
		"another resource": {
			core.APIKey{Scopes: []core.Scope{"agents:write"}},
			core.APIKey{Scopes: []core.Scope{"files:read"}},
			time.Time{},
			"scopes[0]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.parent.ID, c.child.Name = "key-parent", name
			_, err := b.CreateAPIKey(t.Context(), nil, &c.parent, &c.child)
			if c.field != "" {
				wantField(t, err, c.field)
				return
			}
			if err != nil || c.child.ParentID != "key-parent" || !c.child.ExpiresAt.Equal(c.expires) {
				t.Errorf("CreateAPIKey = %+v, %v, want parent key-parent and expiry %v", c.child, err, c.expires)
			}
		})
	}
}

func TestChildKeysAreRevokedAtOnce(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	parent, _ := b.newKey(t, time.Time{}, core.ScopeAll)
	child := &core.APIKey{UserID: parent.UserID, Name: "child", Scopes: []core.Scope{core.ScopeAll}}
	key, err := b.CreateAPIKey(t.Context(), nil, parent, child)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Verify(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteAPIKey(t.Context(), nil, core.Actor{UserID: parent.UserID}, parent.ID); err != nil {
		t.Fatal(err)
	}
	_, err = b.Verify(t.Context(), key)
	wantCode(t, err, core.CodeUnauthorized)
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var e *core.Error
	if !errors.As(err, &e) || e.Code != core.CodeValidation || e.Fields[0].Field != field {
		t.Errorf("got %v, want an error for the field %s", err, field)
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	kept, ended := b.signIn(t), b.signIn(t)
	p, err := b.Verify(t.Context(), kept.Access)
	if err != nil {
		t.Fatal(err)
	}
	wantField(t, b.ChangePassword(t.Context(), nil, p, "not the one", "another long one"), "current_password")
	wantField(t, b.ChangePassword(t.Context(), nil, p, testPassword, "short"), "new_password")
	if err := b.ChangePassword(t.Context(), nil, p, testPassword, "another long one"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Verify(t.Context(), kept.Access); err != nil {
		t.Errorf("Verify for the login that changed the password: %v", err)
	}
	_, err = b.Verify(t.Context(), ended.Access)
	wantCode(t, err, core.CodeUnauthorized)
	_, err = b.Refresh(t.Context(), nil, ended.Refresh)
	wantCode(t, err, core.CodeUnauthorized)
	_, err = b.Login(t.Context(), nil, "ann", testPassword, testAddress)
	wantCode(t, err, core.CodeUnauthorized)
	if _, err := b.Login(t.Context(), nil, "ann", "another long one", testAddress); err != nil {
		t.Error(err)
	}
}

// TestWrongPasswordsAreLimitedPerLogin checks that a client with a token cannot try an unlimited number of
// passwords, and does not keep the user from changing the password with another login.
func TestWrongPasswordsAreLimitedPerLogin(t *testing.T) {
	t.Parallel()
	b := newEnv(t, func(o *Options) { o.NameFailures = 3 })
	own, stolen := b.principal(t, b.signIn(t).Access), b.principal(t, b.signIn(t).Access)
	_, first := b.newKey(t, time.Time{}, core.ScopeAll)
	_, second := b.newKey(t, time.Time{}, core.ScopeAll)
	guess := func(p *core.Principal) error {
		return b.ChangePassword(t.Context(), nil, p, "not the one", "another long one")
	}
	for range 3 {
		wantField(t, guess(stolen), "current_password")
		wantField(t, guess(b.principal(t, first)), "current_password")
	}
	wantCode(t, guess(stolen), core.CodeRateLimited)
	wantCode(t, b.ChangePassword(t.Context(), nil, stolen, testPassword, "another long one"), core.CodeRateLimited)
	// The API keys of a user are limited together.
	wantCode(t, guess(b.principal(t, first)), core.CodeRateLimited)
	wantCode(t, guess(b.principal(t, second)), core.CodeRateLimited)
	for range 3 {
		_, err := b.Login(t.Context(), nil, "ann", "wrong", testAddress)
		wantCode(t, err, core.CodeUnauthorized)
	}
	for range 5 { // successful changes do not count
		if err := b.ChangePassword(t.Context(), nil, own, testPassword, testPassword); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *env) principal(t *testing.T, token string) *core.Principal {
	t.Helper()
	p, err := b.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestResetPassword(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	tok := b.signIn(t)
	_, key := b.newKey(t, time.Time{}, core.ScopeAll)
	wantField(t, b.ResetPassword(t.Context(), nil, b.ann(t).ID, "short", false), "password")
	wantCode(t, b.ResetPassword(t.Context(), nil, "user-none", "another long one", false), core.CodeNotFound)
	if err := b.ResetPassword(t.Context(), nil, b.ann(t).ID, "another long one", false); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Verify(t.Context(), key); err != nil {
		t.Errorf("Verify of an API key after a reset that keeps keys: %v", err)
	}
	_, err := b.Verify(t.Context(), tok.Access)
	wantCode(t, err, core.CodeUnauthorized)
	if _, err := b.Login(t.Context(), nil, "ann", "another long one", testAddress); err != nil {
		t.Error(err)
	}
	if err := b.ResetPassword(t.Context(), nil, b.ann(t).ID, "a third long one", true); err != nil {
		t.Fatal(err)
	}
	_, err = b.Verify(t.Context(), key)
	wantCode(t, err, core.CodeUnauthorized)
}

func TestEndSessions(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	tok := b.signIn(t)
	_, key := b.newKey(t, time.Time{}, core.ScopeAll)
	for _, credential := range []string{tok.Access, key} {
		if _, err := b.Verify(t.Context(), credential); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, b.EndSessions(t.Context(), nil, "user-none"), core.CodeNotFound)
	if err := b.EndSessions(t.Context(), nil, b.ann(t).ID); err != nil {
		t.Fatal(err)
	}
	for _, credential := range []string{tok.Access, key} {
		_, err := b.Verify(t.Context(), credential)
		wantCode(t, err, core.CodeUnauthorized)
	}
	_, err := b.Refresh(t.Context(), nil, tok.Refresh)
	wantCode(t, err, core.CodeUnauthorized)
	b.signIn(t)
}

func TestUpdateUser(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	tok := b.signIn(t)
	id := b.ann(t).ID
	_, err := b.UpdateUser(t.Context(), nil, id, core.UserUpdate{Role: new(core.Role("root"))})
	wantField(t, err, "role")
	_, err = b.UpdateUser(t.Context(), nil, id, core.UserUpdate{Email: new("ann")})
	wantField(t, err, "email")
	if _, err := b.UpdateUser(t.Context(), nil, id, core.UserUpdate{Role: new(core.RoleViewer)}); err != nil {
		t.Fatal(err)
	}
	if p, err := b.Verify(t.Context(), tok.Access); err != nil || p.User.Role != core.RoleViewer {
		t.Errorf("Verify = %+v, %v, want role viewer", p, err)
	}
	if _, err := b.UpdateUser(t.Context(), nil, id, core.UserUpdate{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	_, err = b.Verify(t.Context(), tok.Access)
	wantCode(t, err, core.CodeUnauthorized)
	// A sign-in that ended stays ended when the user is enabled again.
	if _, err := b.UpdateUser(t.Context(), nil, id, core.UserUpdate{Disabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	_, err = b.Verify(t.Context(), tok.Access)
	wantCode(t, err, core.CodeUnauthorized)
}
