package e2e_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// limited starts a server that allows perMinute requests a minute, with more settings in env.
func limited(t *testing.T, perMinute int, env ...string) *server {
	t.Helper()
	s := newServer(t, "")
	s.env = append(append(s.env, "AGENTAREA_RATE_LIMIT_PER_MINUTE="+itoa(perMinute)), env...)
	s.start()
	return s
}

// wantRate checks the three rate-limit headers. The window must end within a minute.
func (r *reply) wantRate(t *testing.T, limit, remaining int) *reply {
	t.Helper()
	reset, err := strconv.ParseInt(r.header.Get("X-RateLimit-Reset"), 10, 64)
	left := time.Until(time.Unix(reset, 0))
	if r.header.Get("X-RateLimit-Limit") != itoa(limit) || r.header.Get("X-RateLimit-Remaining") != itoa(remaining) ||
		err != nil || left < -2*time.Second || left > 62*time.Second {
		t.Errorf("got status %d with %v (reset in %s), want %d of %d left", r.status, r.header, left, remaining, limit)
	}
	return r
}

// wantLimited checks a reply with status 429, and returns its Retry-After.
func (r *reply) wantLimited(t *testing.T) time.Duration {
	t.Helper()
	f := r.want(t, 429).failure(t)
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	if f.Code != "RATE_LIMITED" || f.Message == "" || f.RequestID == "" || f.RequestID != r.header.Get("X-Request-ID") ||
		r.header.Get("Content-Type") != "application/json" || err != nil || seconds < 1 || seconds > 60 {
		t.Fatalf("got %v %s, want RATE_LIMITED with Retry-After", r.header, r.body)
	}
	return time.Duration(seconds) * time.Second
}

// The limit holds for each user, and for each address without authentication.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := limited(t, 25)
	admin := s.signIn() // the requests of waitReady do not count
	for i := range 25 {
		admin.get("/v1/auth/me").want(t, 200).wantRate(t, 25, 24-i)
	}
	last := admin.get("/v1/auth/me").wantRate(t, 25, 0)
	wait := last.wantLimited(t)
	reset, _ := strconv.ParseInt(last.header.Get("X-RateLimit-Reset"), 10, 64)
	if off := time.Until(time.Unix(reset, 0)) - wait; off > 2*time.Second || off < -2*time.Second {
		t.Errorf("got Retry-After %s, which differs from X-RateLimit-Reset by %s", wait, off)
	}
	// All paths are limited except those below /health.
	admin.get("/nowhere").wantLimited(t)
	admin.get("/docs").wantLimited(t)
	admin.post("/mcp/none/mcp", object{}).wantLimited(t)
	admin.get("/health").want(t, 200).wantRate(t, 25, 0)
	admin.get("/health/ready").want(t, 200).wantRate(t, 25, 0)

	// The sign-in counts for the address, and so do requests without a valid token.
	nobody := s.anonymous()
	nobody.get("/v1/auth/me").want(t, 401).wantRate(t, 25, 23)
	forged := &client{t: t, url: s.url, token: "x.y.z"}
	forged.get("/v1/auth/me").want(t, 401).wantRate(t, 25, 22)
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	conn, upgraded, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.url, "http")+"/v1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	(&reply{status: upgraded.StatusCode, header: upgraded.Header}).want(t, 101).wantRate(t, 25, 21)
	for i := range 21 {
		forged.get("/docs").want(t, 200).wantRate(t, 25, 20-i)
	}
	nobody.get("/v1/auth/me").wantLimited(t)
	nobody.post("/v1/auth/login", object{"username": "admin", "password": adminPassword}).wantLimited(t)
	nobody.get("/health").want(t, 200).wantRate(t, 25, 0)
	if log := s.stderr.String(); !strings.Contains(log, "status=429") {
		t.Error("the log has no line of a limited request")
	}
}

// The burst limit holds for each second. A client that waits for Retry-After succeeds.
func TestRateLimitBurst(t *testing.T) {
	t.Parallel()
	s := limited(t, 0, "AGENTAREA_RATE_LIMIT_BURST=3")
	admin := s.signIn()
	began := time.Now()
	limited := concurrently(40, func(int) *reply { return admin.get("/v1/auth/me") })
	seconds := int(time.Since(began)/time.Second) + 1
	if succeeded := 40 - len(limited); succeeded < 3 || succeeded > 3*seconds {
		t.Errorf("%d of 40 requests succeed within %d s, want at most 3 a second", succeeded, seconds)
	}
	var wait time.Duration
	for _, r := range limited {
		wait = max(wait, r.wantLimited(t))
		if r.header.Get("X-RateLimit-Limit") != "" {
			t.Errorf("got headers %v without a limit a minute", r.header)
		}
	}
	if wait != time.Second {
		t.Errorf("got Retry-After %s, want 1s", wait)
	}
	time.Sleep(wait)
	admin.get("/v1/auth/me").want(t, 200)
}

// Every response has the rate-limit headers.
func TestRateLimitHeaders(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.env = append(s.env, "AGENTAREA_RATE_LIMIT_PER_MINUTE=1000", "AGENTAREA_MCP_LISTEN=127.0.0.1:0")
	s.start()
	admin, nobody := s.signIn(), s.anonymous()
	agent := admin.newAgent("echo")
	server := admin.post("/v1/mcp-servers",
		object{"name": "none", "config": object{"command": "cat"}, "auto_start": false}).want(t, 201)
	second, _, _ := strings.Cut(decode[struct{ URL string }](t, server).URL, "/mcp/none")
	mcp := &client{t: t, url: second}
	for name, r := range map[string]*reply{
		"list":            admin.get("/v1/agents").want(t, 200),
		"slash":           admin.get("/v1/agents/").want(t, 200),
		"HEAD":            admin.do("HEAD", "/v1/agents", nil).want(t, 200),
		"created":         admin.post("/v1/agents", object{"name": "x", "type": "chat", "config": object{"model": "echo"}}).want(t, 201),
		"stream":          admin.do("POST", "/v1/agents/"+agent+"/chat", object{"message": "Hi", "stream": true}).want(t, 200),
		"bad JSON":        admin.do("POST", "/v1/agents", "{").want(t, 400),
		"not found":       admin.get("/v1/agents/agent-none").want(t, 404),
		"no such path":    nobody.get("/nowhere").want(t, 404),
		"no such method":  nobody.do("PUT", "/v1/auth/login", object{}).want(t, 405),
		"no token":        nobody.get("/v1/agents").want(t, 401),
		"wrong password":  nobody.post("/v1/auth/login", object{"username": "admin", "password": "x"}).want(t, 401),
		"media type":      admin.do("POST", "/v1/agents", "x", "Content-Type: text/plain").want(t, 415),
		"no WebSocket":    nobody.get("/v1/ws").want(t, 400),
		"docs":            nobody.get("/docs").want(t, 200),
		"docs' script":    nobody.get("/docs/init.js").want(t, 200),
		"OpenAPI":         nobody.get("/openapi.json").want(t, 200),
		"health":          nobody.get("/health").want(t, 200),
		"health, slash":   nobody.get("/health/").want(t, 200),
		"ready":           nobody.get("/health/ready").want(t, 200),
		"gateway":         nobody.post("/mcp/none/mcp", object{}).want(t, 401),
		"gateway's data":  nobody.get("/.well-known/oauth-protected-resource/mcp/none/mcp").want(t, 200),
		"second listener": mcp.post("/mcp/none/mcp", object{}).want(t, 401),
	} {
		for _, header := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
			if _, err := strconv.ParseInt(r.header.Get(header), 10, 64); err != nil || len(r.header.Values(header)) != 1 {
				t.Errorf("%s: got %s %q, want one number", name, header, r.header.Values(header))
			}
		}
	}
	off := start(t, "")
	if h := off.signIn().get("/v1/auth/me").want(t, 200).header; h.Get("X-RateLimit-Limit")+h.Get(
		"X-RateLimit-Remaining",
	)+h.Get("X-RateLimit-Reset") != "" {
		t.Errorf("got headers %v without limits, want none", h)
	}
}

func TestRateLimitOfRoles(t *testing.T) {
	t.Parallel()
	s := limited(t, 10, "AGENTAREA_RATE_LIMIT_ROLES=admin=40/0,viewer=0/0")
	admin := s.signIn()
	ann, vic := s.newUser(admin, "ann", "member"), s.newUser(admin, "vic", "viewer")
	for i := range 38 {
		admin.get("/v1/auth/me").want(t, 200).wantRate(t, 40, 37-i)
	}
	admin.get("/v1/auth/me").wantRate(t, 40, 0).wantLimited(t)
	for i := range 10 {
		ann.get("/v1/auth/me").want(t, 200).wantRate(t, 10, 9-i)
	}
	ann.get("/v1/auth/me").wantRate(t, 10, 0).wantLimited(t)
	for range 50 {
		if r := vic.get("/v1/auth/me").want(t, 200); r.header.Get("X-RateLimit-Limit") != "" {
			t.Fatalf("got headers %v for a role without a limit, want none", r.header)
		}
	}
}

// Two servers with the same database count a user's requests and sign-ins together.
func TestRateLimitOfReplicas(t *testing.T) {
	t.Parallel()
	a, b := twoServers(t, "AGENTAREA_RATE_LIMIT_PER_MINUTE=20")
	one := a.signIn()
	two := &client{t: t, url: b.url, token: one.token}
	for i := range 20 {
		[]*client{one, two}[i%2].get("/v1/auth/me").want(t, 200).wantRate(t, 20, 19-i)
	}
	one.get("/v1/auth/me").wantRate(t, 20, 0).wantLimited(t)
	two.get("/v1/auth/me").wantRate(t, 20, 0).wantLimited(t)

	limited := concurrently(12, func(i int) *reply {
		nobody := &client{t: t, url: []string{a.url, b.url}[i%2]}
		return nobody.post("/v1/auth/login", object{"username": "ann", "password": "wrong"})
	})
	if len(limited) != 2 {
		t.Errorf("%d of 12 sign-ins are limited, want 2", len(limited))
	}
	for _, r := range limited {
		r.wantLimited(t)
	}
}

// concurrently sends n requests at the same time, and returns the replies with status 429.
func concurrently(n int, send func(i int) *reply) (limited []*reply) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r := send(i)
			mu.Lock()
			defer mu.Unlock()
			if r.status == http.StatusTooManyRequests {
				limited = append(limited, r)
			}
		})
	}
	wg.Wait()
	return limited
}

// X-Forwarded-For is used only if it comes from a trusted proxy, and only the part that the proxy wrote.
func TestForwardedFor(t *testing.T) {
	t.Parallel()
	from := func(c *client, header string) *reply { return c.do("GET", "/nowhere", nil, "X-Forwarded-For: "+header) }

	direct := limited(t, 5)
	nobody := &client{t: t, url: direct.url}
	for i := range 5 {
		from(nobody, "203.0.113."+itoa(i)).want(t, 404).wantRate(t, 5, 4-i)
	}
	from(nobody, "203.0.113.99").wantLimited(t)

	proxied := limited(t, 5, "AGENTAREA_TRUSTED_PROXIES=127.0.0.0/8,10.0.0.0/8")
	nobody = &client{t: t, url: proxied.url}
	for i := range 5 {
		// The client has written the first address itself.
		from(nobody, "198.51.100."+itoa(i)+", 203.0.113.7, 10.0.0.9").want(t, 404).wantRate(t, 5, 4-i)
	}
	from(nobody, "203.0.113.7").wantLimited(t)
	from(nobody, "203.0.113.8").want(t, 404).wantRate(t, 5, 4)
	from(nobody, "2001:db8::1").want(t, 404).wantRate(t, 5, 4)
	from(nobody, "2001:db8::2").want(t, 404).wantRate(t, 5, 3)
	from(nobody, "unknown").want(t, 404).wantRate(t, 5, 4) // counts for the proxy's address
	if log := proxied.stderr.String(); !strings.Contains(log, "address=203.0.113.7") ||
		strings.Contains(log, "address=198.51.100.") {
		t.Error("the log does not have the addresses that the proxy wrote")
	}
}

// Sign-ins are limited by address, even without limits of requests.
func TestLoginLimitByAddress(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.env = append(s.env, "AGENTAREA_TRUSTED_PROXIES=127.0.0.1")
	s.start()
	nobody := s.anonymous()
	guess := func(i int, address string) *reply {
		return nobody.do("POST", "/v1/auth/login", object{"username": "user-" + itoa(i), "password": "wrong"},
			"X-Forwarded-For: "+address)
	}
	limited := concurrently(33,
		func(i int) *reply { return guess(i, []string{"203.0.113.7", "198.51.100.1, 203.0.113.7"}[i%2]) })
	if len(limited) != 3 {
		t.Fatalf("%d of 33 sign-ins are limited, want 3", len(limited))
	}
	for _, r := range limited {
		if f := r.failure(t); r.wantLimited(t) > time.Minute || !strings.Contains(f.Message, "sign-in attempts") {
			t.Errorf("got error %+v, want the limit of sign-ins", f)
		}
	}
	guess(33, "203.0.113.8").want(t, 401)
	s.signIn()
}
