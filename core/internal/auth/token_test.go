package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"hash"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

func TestVerifyReturnsTheUser(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	tok := b.signIn(t)
	p, err := b.Verify(t.Context(), tok.Access)
	if err != nil || p.User.Username != "ann" || p.LoginID == "" {
		t.Fatalf("Verify = %+v, %v, want ann with a login", p, err)
	}
	if tok.ExpiresIn != time.Hour {
		t.Errorf("ExpiresIn = %v, want 1h", tok.ExpiresIn)
	}
	b.clock.pass(time.Hour)
	_, err = b.Verify(t.Context(), tok.Access)
	wantCode(t, err, core.CodeUnauthorized)
}

// forge builds a token from the parts of a valid one.
func forge(header, claims map[string]any, h func() hash.Hash, key []byte) string {
	part := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	s := part(header) + "." + part(claims)
	if h == nil {
		return s + "."
	}
	m := hmac.New(h, key)
	m.Write([]byte(s))
	return s + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func TestForgedTokensAreRejected(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	parts := strings.Split(b.signIn(t).Access, ".")
	read := func(s string) (m map[string]any) {
		raw, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	header, claims := read(parts[0]), read(parts[1])
	key := b.access.keys[b.access.kid]
	with := func(m map[string]any, name string, v any) map[string]any {
		m = maps.Clone(m)
		if m[name] = v; v == nil {
			delete(m, name)
		}
		return m
	}
	now := b.clock.now().Unix()

	if _, err := b.Verify(t.Context(), forge(header, claims, sha256.New, key)); err != nil {
		t.Fatalf("Verify of an unchanged token: %v", err)
	}
	for name, token := range map[string]string{
		"empty":             "",
		"not a token":       "a.b.c",
		"no alg":            forge(with(header, "alg", "none"), claims, nil, nil),
		"alg none, signed":  forge(with(header, "alg", "none"), claims, sha256.New, key),
		"other alg":         forge(with(header, "alg", "HS512"), claims, sha512.New, key),
		"asymmetric alg":    forge(with(header, "alg", "RS256"), claims, sha256.New, key),
		"foreign key":       forge(header, claims, sha256.New, []byte("another key")),
		"foreign kid":       forge(with(header, "kid", "deadbeef"), claims, sha256.New, key),
		"kid is a path":     forge(with(header, "kid", "/dev/null"), claims, sha256.New, nil),
		"kid is no string":  forge(with(header, "kid", 7), claims, sha256.New, key),
		"no kid":            forge(with(header, "kid", nil), claims, sha256.New, key),
		"other typ":         forge(with(header, "typ", "rt+jwt"), claims, sha256.New, key),
		"no exp":            forge(header, with(claims, "exp", nil), sha256.New, key),
		"expired":           forge(header, with(claims, "exp", now-1), sha256.New, key),
		"not yet":           forge(header, with(claims, "nbf", now+60), sha256.New, key),
		"wrong issuer":      forge(header, with(claims, "iss", "else"), sha256.New, key),
		"no issuer":         forge(header, with(claims, "iss", nil), sha256.New, key),
		"wrong audience":    forge(header, with(claims, "aud", "else"), sha256.New, key),
		"no audience":       forge(header, with(claims, "aud", nil), sha256.New, key),
		"no subject":        forge(header, with(claims, "sub", nil), sha256.New, key),
		"other subject":     forge(header, with(claims, "sub", "user-1"), sha256.New, key),
		"no login":          forge(header, with(claims, "sid", nil), sha256.New, key),
		"other login":       forge(header, with(claims, "sid", "login-1"), sha256.New, key),
		"changed signature": parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
	} {
		if _, err := b.Verify(t.Context(), token); core.CodeOf(err) != core.CodeUnauthorized || err == nil {
			t.Errorf("%s: Verify: got error %v, want code %s", name, err, core.CodeUnauthorized)
		}
	}
}

func TestLogoutEndsTokensOnAllReplicas(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	elsewhere, err := New(Options{Users: b.store, Logins: b.store, Secret: testSecret, Now: b.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	tok := b.signIn(t)
	p, err := elsewhere.Verify(t.Context(), tok.Access)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Logout(t.Context(), nil, p.LoginID); err != nil {
		t.Fatal(err)
	}
	_, err = b.Verify(t.Context(), tok.Access)
	wantCode(t, err, core.CodeUnauthorized)
	_, err = b.Refresh(t.Context(), nil, tok.Refresh)
	wantCode(t, err, core.CodeUnauthorized)
	b.clock.pass(time.Second)
	_, err = elsewhere.Verify(t.Context(), tok.Access)
	wantCode(t, err, core.CodeUnauthorized)
}

func TestDisabledUserLosesAccessWithinASecond(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	tok := b.signIn(t)
	if _, err := b.Verify(t.Context(), tok.Access); err != nil {
		t.Fatal(err)
	}
	b.store.disable("ann")
	b.clock.pass(time.Second)
	_, err := b.Verify(t.Context(), tok.Access)
	wantCode(t, err, core.CodeUnauthorized)
	_, err = b.Refresh(t.Context(), nil, tok.Refresh)
	wantCode(t, err, core.CodeUnauthorized)
}

func TestVerifyReadsTheStoreOnceASecond(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	tok := b.signIn(t)
	for range 100 {
		if _, err := b.Verify(t.Context(), tok.Access); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.store.reads(); n != 1 {
		t.Errorf("got %d reads of the store, want 1", n)
	}
}

func TestReadFromBeforeLogoutIsNotCached(t *testing.T) {
	t.Parallel()
	c := newLiveLogins(time.Now)
	mark := c.mark()
	c.forget("login-1")
	c.put("login-1", &core.Principal{}, mark)
	if c.get("login-1") != nil {
		t.Error("the cache returned a login that has ended")
	}
}

func TestLoginCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newLiveLogins(func() time.Time { return time.Unix(1e9, 0) })
	c.maxEntries = 10
	for i := range 1000 {
		c.put(time.Duration(i).String(), &core.Principal{}, c.mark())
	}
	if n := len(c.newer) + len(c.older); n > 20 {
		t.Errorf("got %d cached entries, want at most 20", n)
	}
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	first := b.signIn(t)
	second, err := b.Refresh(t.Context(), nil, first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if second.Refresh == first.Refresh {
		t.Error("the refresh token did not change")
	}
	if _, err := b.Verify(t.Context(), second.Access); err != nil {
		t.Error(err)
	}
	for _, l := range b.store.logins {
		if strings.Contains(string(l.RefreshHash), second.Refresh) || len(l.RefreshHash) != sha256.Size {
			t.Error("the store contains the token")
		}
	}
}

func TestParallelRefreshesAgree(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	first := b.signIn(t)
	got := make([]string, 50)
	var users sync.WaitGroup
	for i := range got {
		users.Go(func() {
			tok, err := b.Refresh(t.Context(), nil, first.Refresh)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = tok.Refresh
		})
	}
	users.Wait()
	for _, r := range got {
		if r != got[0] {
			t.Fatal("parallel refreshes returned different tokens")
		}
	}
	if len(b.store.logins) != 1 {
		t.Errorf("%d logins, want 1", len(b.store.logins))
	}
	if _, err := b.Refresh(t.Context(), nil, got[0]); err != nil {
		t.Error(err)
	}
}

func TestReusedRefreshTokenEndsTheLogin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rotations int
		wait      time.Duration
		want      core.Code
	}{
		"the predecessor within the grace": {1, grace, ""},
		"the predecessor after the grace":  {1, grace + time.Millisecond, core.CodeUnauthorized},
		"an older one within the grace":    {2, 0, core.CodeUnauthorized},
		"one of long ago":                  {5, time.Hour, core.CodeUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newEnv(t)
			first := b.signIn(t)
			tok := first
			for range c.rotations {
				var err error
				if tok, err = b.Refresh(t.Context(), nil, tok.Refresh); err != nil {
					t.Fatal(err)
				}
			}
			b.clock.pass(c.wait)
			again, err := b.Refresh(t.Context(), nil, first.Refresh)
			if c.want == "" {
				if err != nil || again.Refresh != tok.Refresh {
					t.Fatalf("Refresh = %+v, %v, want the current refresh token", again, err)
				}
				return
			}
			wantCode(t, err, c.want)
			_, err = b.Refresh(t.Context(), nil, tok.Refresh)
			wantCode(t, err, core.CodeUnauthorized)
			_, err = b.Verify(t.Context(), tok.Access)
			wantCode(t, err, core.CodeUnauthorized)
		})
	}
}

func TestForgedRefreshTokenEndsNoLogin(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	tok := b.signIn(t)
	p, err := b.Verify(t.Context(), tok.Access)
	if err != nil {
		t.Fatal(err)
	}
	other := refreshTokens{keys: [][]byte{[]byte("another key")}}
	for _, made := range []string{
		"", "rt_", "rt_" + p.LoginID, "rt_" + p.LoginID + ".AAAA", tok.Access,
		tok.Refresh + "A", other.derive(p.LoginID, 0), other.derive(p.LoginID, 1),
	} {
		_, err := b.Refresh(t.Context(), nil, made)
		wantCode(t, err, core.CodeUnauthorized)
	}
	if _, err := b.Refresh(t.Context(), nil, tok.Refresh); err != nil {
		t.Error(err)
	}
}

func TestRefreshTokensExpire(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	tok := b.signIn(t)
	b.clock.pass(30 * 24 * time.Hour)
	_, err := b.Refresh(t.Context(), nil, tok.Refresh)
	wantCode(t, err, core.CodeUnauthorized)
}

// TestLoginsEndAtTheMaximumAge refreshes a login whenever possible. Tokens that are issued shortly before the
// end expire at the end.
func TestLoginsEndAtTheMaximumAge(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	b := newEnv(t, func(o *Options) { o.MaxLoginAge = 50 * day })
	tok := b.signIn(t)
	var err error
	for range 5 {
		b.clock.pass(10*day - 6*time.Minute)
		if tok, err = b.Refresh(t.Context(), nil, tok.Refresh); err != nil {
			t.Fatal(err)
		}
	}
	p, err := b.Verify(t.Context(), tok.Access)
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := b.Renew(t.Context(), p.LoginID)
	if err != nil {
		t.Fatal(err)
	}
	if tok.ExpiresIn != 30*time.Minute || renewed.ExpiresIn != 30*time.Minute {
		t.Errorf("ExpiresIn = %v and %v, want 30m, the remaining time of the login", tok.ExpiresIn, renewed.ExpiresIn)
	}
	b.clock.pass(30 * time.Minute)
	_, err = b.Refresh(t.Context(), nil, tok.Refresh)
	wantCode(t, err, core.CodeUnauthorized)
	_, err = b.Renew(t.Context(), p.LoginID)
	wantCode(t, err, core.CodeUnauthorized)
	for _, access := range []string{tok.Access, renewed.Access} {
		_, err = b.Verify(t.Context(), access)
		wantCode(t, err, core.CodeUnauthorized)
	}
}

// TestLowerMaximumAgeEndsOldLogins checks that the setting also applies to logins from before its change.
func TestLowerMaximumAgeEndsOldLogins(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	tok := b.signIn(t)
	later, err := New(Options{
		Users: b.store, Logins: b.store, Secret: testSecret, Now: b.clock.now, MaxLoginAge: 10 * time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.clock.pass(10 * time.Minute)
	if _, err := b.Verify(t.Context(), tok.Access); err != nil {
		t.Fatal(err)
	}
	_, err = later.Verify(t.Context(), tok.Access)
	wantCode(t, err, core.CodeUnauthorized)
	_, err = later.Refresh(t.Context(), nil, tok.Refresh)
	wantCode(t, err, core.CodeUnauthorized)
}

func TestRenewKeepsTheLogin(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	tok := b.signIn(t)
	p, err := b.Verify(t.Context(), tok.Access)
	if err != nil {
		t.Fatal(err)
	}
	b.clock.pass(30 * time.Minute)
	fresh, err := b.Renew(t.Context(), p.LoginID)
	if err != nil || fresh.Refresh != "" || fresh.Access == tok.Access {
		t.Fatalf("Renew = %+v, %v, want a new access token and no refresh token", fresh, err)
	}
	b.clock.pass(45 * time.Minute)
	if _, err := b.Verify(t.Context(), fresh.Access); err != nil {
		t.Error(err)
	}
}

func TestTokensOfAnotherSecretAreRejected(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	tok := b.signIn(t)
	other, err := New(Options{Users: b.store, Logins: b.store, Secret: []byte(strings.Repeat("x", 32)), Now: b.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Verify(t.Context(), tok.Access)
	wantCode(t, err, core.CodeUnauthorized)
	_, err = other.Refresh(t.Context(), nil, tok.Refresh)
	wantCode(t, err, core.CodeUnauthorized)
	if _, err := New(Options{Secret: []byte("short")}); err == nil {
		t.Error("New accepted a short secret")
	}
}

// TestTokensStayValidDuringKeyRotation checks that tokens of an old key are accepted while the key
// is configured, and that new tokens use the new key.
func TestTokensStayValidDuringKeyRotation(t *testing.T) {
	t.Parallel()
	b := newEnv(t)
	fresh := []byte(strings.Repeat("n", 32))
	with := func(secret []byte, old ...[]byte) *Auth {
		t.Helper()
		a, err := New(Options{Users: b.store, Logins: b.store, Secret: secret, OldSecrets: old, Now: b.clock.now})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	both, after := with(fresh, testSecret), with(fresh)
	tok := b.signIn(t)
	p, err := both.Verify(t.Context(), tok.Access)
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := both.Renew(t.Context(), p.LoginID)
	if err != nil {
		t.Fatal(err)
	}
	_, err = after.Verify(t.Context(), tok.Access)
	wantCode(t, err, core.CodeUnauthorized)
	if _, err := after.Verify(t.Context(), renewed.Access); err != nil {
		t.Errorf("the new access token does not use the new key: %v", err)
	}
	_, err = after.Refresh(t.Context(), nil, tok.Refresh)
	wantCode(t, err, core.CodeUnauthorized)
	next, err := both.Refresh(t.Context(), nil, tok.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	again, err := both.Refresh(t.Context(), nil, tok.Refresh) // within the grace
	if err != nil || again.Refresh != next.Refresh {
		t.Errorf("the predecessor returns a different token: %v", err)
	}
	last, err := after.Refresh(t.Context(), nil, next.Refresh)
	if err != nil {
		t.Fatalf("the login does not use the new key: %v", err)
	}
	if _, err := after.Verify(t.Context(), last.Access); err != nil {
		t.Error(err)
	}
	if _, err := New(Options{Secret: testSecret, OldSecrets: [][]byte{[]byte("short")}}); err == nil {
		t.Error("New accepted a short old secret")
	}
}
