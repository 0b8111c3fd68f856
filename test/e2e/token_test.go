package e2e_test

import (
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
)

// forger signs access tokens like the server, whose key the test has chosen.
type forger struct {
	t      *testing.T
	header map[string]any
	claims jwt.MapClaims
	key    []byte
}

// sign returns a valid token with a changed header and claims, signed with key.
func (f *forger) sign(method jwt.SigningMethod, key any, change jwt.MapClaims, header map[string]any) string {
	f.t.Helper()
	claims := maps.Clone(f.claims)
	maps.Copy(claims, change)
	for name, value := range change {
		if value == nil {
			delete(claims, name)
		}
	}
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = f.header["kid"]
	maps.Copy(token.Header, header)
	signed, err := token.SignedString(key)
	if err != nil {
		f.t.Fatal(err)
	}
	return signed
}

// Tokens that the server has not signed for this purpose are rejected by the API, MCP and WebSockets.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("5e", 32)
	s := newServer(t, "")
	s.env = append(s.env, "AGENTAREA_SECRET_KEY="+secret)
	s.start()
	c := s.signIn()

	root, err := hex.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hkdf.Key(sha256.New, root, nil, "agentarea access token v1", 32)
	if err != nil {
		t.Fatal(err)
	}
	f := &forger{t: t, claims: jwt.MapClaims{}, key: key}
	good, _, err := jwt.NewParser().ParseUnverified(c.token, f.claims)
	if err != nil {
		t.Fatal(err)
	}
	f.header = good.Header
	asymmetric, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	past, future := time.Now().Add(-time.Minute).Unix(), time.Now().Add(24*time.Hour).Unix()
	hs := jwt.SigningMethodHS256
	for name, tt := range map[string]struct {
		authorization string
		status        int
	}{
		// the forger works, so that the others fail for their own reason
		"later":          {"Bearer " + f.sign(hs, key, jwt.MapClaims{"exp": future}, nil), 200},
		"lower case":     {"bearer " + c.token, 200},
		"expired":        {"Bearer " + f.sign(hs, key, jwt.MapClaims{"exp": past}, nil), 401},
		"without exp":    {"Bearer " + f.sign(hs, key, jwt.MapClaims{"exp": nil}, nil), 401},
		"other key":      {"Bearer " + f.sign(hs, root, nil, nil), 401},
		"other kid":      {"Bearer " + f.sign(hs, key, nil, map[string]any{"kid": "mine"}), 401},
		"other alg":      {"Bearer " + f.sign(jwt.SigningMethodHS512, key, nil, nil), 401},
		"no alg":         {"Bearer " + f.sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil), 401},
		"other issuer":   {"Bearer " + f.sign(hs, key, jwt.MapClaims{"iss": "somebody"}, nil), 401},
		"other audience": {"Bearer " + f.sign(hs, key, jwt.MapClaims{"aud": "somebody"}, nil), 401},
		"other user":     {"Bearer " + f.sign(hs, key, jwt.MapClaims{"sub": "user-0"}, nil), 401},
		"other login":    {"Bearer " + f.sign(hs, key, jwt.MapClaims{"sid": "login-0"}, nil), 401},
		"cut":            {"Bearer " + c.token[:len(c.token)-4], 401},
		"nonsense":       {"Bearer nonsense", 401},
		"other scheme":   {"Basic YWRtaW46YWRtaW4=", 401},
		"not yet":        {"Bearer " + f.sign(hs, key, jwt.MapClaims{"nbf": future}, nil), 401},
		"no kid":         {"Bearer " + f.sign(hs, key, nil, map[string]any{"kid": ""}), 401},
		"HS384":          {"Bearer " + f.sign(jwt.SigningMethodHS384, key, nil, nil), 401},
		"RS256":          {"Bearer " + f.sign(jwt.SigningMethodRS256, asymmetric, nil, nil), 401},
		"a blank in it":  {"Bearer " + c.token[:40] + " " + c.token[40:], 401},
		"twice":          {"Bearer " + c.token + "," + c.token, 401},
		"nothing":        {"", 401},
	} {
		r := s.anonymous().do("GET", "/v1/auth/me", nil, "Authorization: "+tt.authorization)
		if r.status != tt.status {
			t.Errorf("%s: got status %d, want %d: %s", name, r.status, tt.status, r.body)
		}
		if r.status == 401 && (r.failure(t).Code != "UNAUTHORIZED" || r.header.Get("WWW-Authenticate") == "") {
			t.Errorf("%s: got %s, want UNAUTHORIZED with WWW-Authenticate", name, r.body)
		}
		// The gateway and WebSockets check tokens in the same way.
		want := map[int]int{200: 404, 401: 401}[tt.status]
		mcp := s.anonymous().do("POST", "/mcp/none/mcp/", object{"jsonrpc": "2.0", "id": 1, "method": "ping"},
			"Authorization: "+tt.authorization)
		if mcp.status != want || want == 401 && mcp.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: MCP returns status %d, want %d: %s", name, mcp.status, want, mcp.body)
		}
		if token, ok := strings.CutPrefix(tt.authorization, "Bearer "); ok {
			if got := c.socketAuth(token); got != map[int]string{200: "auth.ok", 401: "UNAUTHORIZED"}[tt.status] {
				t.Errorf("%s: the WebSocket returns %s", name, got)
			}
		}
	}
	for _, path := range []string{"/v1/auth/me", "/mcp/none/mcp/"} {
		ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
		req := c.request(ctx, "GET", path, nil)
		req.Header.Add("Authorization", "Bearer "+c.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		cancel()
		if resp.StatusCode != 401 {
			t.Errorf("%s with two Authorization headers: got status %d, want 401", path, resp.StatusCode)
		}
	}
}

// socketAuth authenticates a WebSocket with a token, and returns the type or the error code of the reply.
func (c *client) socketAuth(token string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.url, "http")+"/v1/ws", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	w := &socket{t: c.t, ctx: ctx, conn: conn}
	w.send(object{"type": "auth", "token": token})
	m := w.receive()
	var e struct{ Error failure }
	if err := json.Unmarshal([]byte(m.raw), &e); err != nil {
		c.t.Fatal(err)
	}
	return cmp.Or(e.Error.Code, m.Type)
}
