package auth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claims are what an access token says.
type claims struct {
	jwt.RegisteredClaims
	LoginID string `json:"sid"`
}

// accessTokens signs and reads access tokens.
type accessTokens struct {
	// keys are all that a token may be signed with, by their ids; new ones are
	// signed with kid's.
	keys     map[string][]byte
	kid      string
	issuer   string
	audience string
	ttl      time.Duration
	now      func() time.Time
	parser   *jwt.Parser
}

func newAccessTokens(o Options) *accessTokens {
	return &accessTokens{
		keys:   map[string][]byte{},
		issuer: o.Issuer, audience: o.Audience, ttl: o.AccessTTL, now: o.Now,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
			jwt.WithExpirationRequired(),
			jwt.WithIssuer(o.Issuer),
			jwt.WithAudience(o.Audience),
			jwt.WithStrictDecoding(),
			jwt.WithTimeFunc(o.Now),
		),
	}
}

// add takes a key. The first one signs.
func (t *accessTokens) add(kid string, key []byte) {
	if t.kid == "" {
		t.kid = kid
	}
	t.keys[kid] = key
}

func (t *accessTokens) sign(userID, loginID string) (string, error) {
	now := t.now()
	tok := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    t.issuer,
			Audience:  jwt.ClaimStrings{t.audience},
			Subject:   userID,
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(t.ttl)),
			ID:        rand.Text(),
		},
		LoginID: loginID,
	})
	tok.Header["kid"] = t.kid
	s, err := tok.SignedString(t.keys[t.kid])
	if err != nil {
		return "", fmt.Errorf("sign an access token: %w", err)
	}
	return s, nil
}

func (t *accessTokens) parse(token string) (*claims, error) {
	// Go's Base64 passes over line breaks.
	if strings.ContainsAny(token, "\r\n") {
		return nil, errors.New("a line break in it")
	}
	var c claims
	if _, err := t.parser.ParseWithClaims(token, &c, t.key); err != nil {
		return nil, err
	}
	if c.Subject == "" || c.LoginID == "" || c.ID == "" || c.IssuedAt == nil {
		return nil, errors.New("sub, sid, jti and iat are required")
	}
	return &c, nil
}

func (t *accessTokens) key(tok *jwt.Token) (any, error) {
	if tok.Header["typ"] != "JWT" {
		return nil, fmt.Errorf("typ is %v", tok.Header["typ"])
	}
	kid, _ := tok.Header["kid"].(string)
	key, ok := t.keys[kid]
	if !ok {
		return nil, fmt.Errorf("no key %q", kid)
	}
	return key, nil
}
