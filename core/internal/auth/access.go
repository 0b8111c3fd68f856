package auth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claims are the claims of an access token.
type claims struct {
	jwt.RegisteredClaims
	LoginID string `json:"sid"`
}

// accessTokens signs and verifies access tokens.
type accessTokens struct {
	// keys maps key ids to the accepted signing keys. New tokens are signed with the key kid.
	keys     map[string][]byte
	kid      string
	issuer   string
	audience string
	now      func() time.Time
	parser   *jwt.Parser
}

func newAccessTokens(o Options) *accessTokens {
	return &accessTokens{
		keys:   map[string][]byte{},
		issuer: o.Issuer, audience: o.Audience, now: o.Now,
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

// add accepts tokens that are signed with key. The first key that is added signs new tokens.
func (t *accessTokens) add(kid string, key []byte) {
	if t.kid == "" {
		t.kid = kid
	}
	t.keys[kid] = key
}

// sign returns a token that is valid for ttl.
func (t *accessTokens) sign(userID, loginID string, ttl time.Duration) (string, error) {
	now := t.now()
	tok := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    t.issuer,
			Audience:  jwt.ClaimStrings{t.audience},
			Subject:   userID,
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
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
	// encoding/base64 ignores line breaks, so that several texts would be the same token.
	if strings.ContainsAny(token, "\r\n") {
		return nil, errors.New("the token contains a line break")
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
		return nil, fmt.Errorf("unexpected typ %v", tok.Header["typ"])
	}
	kid, _ := tok.Header["kid"].(string)
	key, ok := t.keys[kid]
	if !ok {
		return nil, fmt.Errorf("unknown key id %q", kid)
	}
	return key, nil
}
