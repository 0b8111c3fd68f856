package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// FuzzRefreshToken checks that only derived tokens are accepted.
func FuzzRefreshToken(f *testing.F) {
	r := refreshTokens{keys: [][]byte{[]byte("key")}}
	good := r.derive("login-1", 7)
	for _, s := range []string{
		good, good + "\n", good + "=", good[:len(good)-1], strings.ToUpper(good), "rt_.", "rt_a.b.c", " " + good,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if login, generation, ok := r.parse(token); ok && r.derive(login, generation) != token {
			t.Errorf("parse(%q) = %s, %d; want an error", token, login, generation)
		}
	})
}

// FuzzAccessToken checks that only tokens with a signature of our key, HS256 and an expiry are accepted.
func FuzzAccessToken(f *testing.F) {
	key := []byte("a key of thirty-two bytes or more")
	now := func() time.Time { return time.Unix(1_700_000_000, 0) }
	tokens := newAccessTokens(Options{Issuer: "agentarea", Audience: "agentarea", Now: now})
	tokens.add("k1", key)
	good, err := tokens.sign("user-1", "login-1", time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	parts := strings.Split(good, ".")
	for _, s := range []string{
		good, good + ".", parts[0] + "." + parts[1] + ".", good[:len(good)-1],
		good + "\n", "a.b.c", "eyJhbGciOiJub25lIn0." + parts[1] + ".",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		c, err := tokens.parse(token)
		if err != nil {
			return
		}
		signed, signature, _ := strings.Cut(token, ".")
		payload, signature, _ := strings.Cut(signature, ".")
		signed += "." + payload
		m := hmac.New(sha256.New, key)
		m.Write([]byte(signed))
		if base64.RawURLEncoding.EncodeToString(m.Sum(nil)) != signature {
			t.Errorf("parse(%q) accepted a token with a wrong signature", token)
		}
		head, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
		var h struct{ Alg, Kid string }
		if err != nil || json.Unmarshal(head, &h) != nil || h.Alg != "HS256" || h.Kid != "k1" || c.ExpiresAt == nil {
			t.Errorf("parse(%q) accepted a token with another algorithm or key, or without an expiry", token)
		}
	})
}
