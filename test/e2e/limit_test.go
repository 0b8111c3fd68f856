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

// limited runs a server with so many requests a minute, and other settings.
func limited(t *testing.T, perMinute int, env ...string) *server {
	t.Helper()
	s := newServer(t, "")
	s.env = append(append(s.env, "AGENTAREA_RATE_LIMIT_PER_MINUTE="+itoa(perMinute)), env...)
	s.start()
	return s
}

// wantRate checks the three headers: the limit, what is left of it, and that the
// window is over within a minute.
func (r *reply) wantRate(t *testing.T, limit, remaining int) *reply {
	t.Helper()
	reset, err := strconv.ParseInt(r.header.Get("X-RateLimit-Reset"), 10, 64)
	left := time.Until(time.Unix(reset, 0))
	if r.header.Get("X-RateLimit-Limit") != itoa(limit) || r.header.Get("X-RateLimit-Remaining") != itoa(remaining) ||
		err != nil || left < -2*time.Second || left > 62*time.Second {
		t.Errorf("%d with %v (reset in %s), want %d of %d left", r.status, r.header, left, remaining, limit)
	}
	return r
}

// wantLimited checks a refusal in the contract's words, and gives when to come back.
func (r *reply) wantLimited(t *testing.T) time.Duration {
	t.Helper()
	f := r.want(t, 429).failure(t)
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	if f.Code != "RATE_LIMITED" || f.Message == "" || f.RequestID == "" || f.RequestID != r.header.Get("X-Request-ID") ||
		r.header.Get("Content-Type") != "application/json" || err != nil || seconds < 1 || seconds > 60 {
		t.Fatalf("%v %s", r.header, r.body)
	}
	return time.Duration(seconds) * time.Second
}

// A user has so many requests a minute, wherever they come from, and so has an
// address with those that nobody has signed in for.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := limited(t, 25)
	admin := s.signIn() // and awaitReady, which counts nothing
	for i := range 25 {
		admin.get("/v1/auth/me").want(t, 200).wantRate(t, 25, 24-i)
	}
	last := admin.get("/v1/auth/me").wantRate(t, 25, 0)
	wait := last.wantLimited(t)
	reset, _ := strconv.ParseInt(last.header.Get("X-RateLimit-Reset"), 10, 64)
	if off := time.Until(time.Unix(reset, 0)) - wait; off > 2*time.Second || off < -2*time.Second {
		t.Errorf("Retry-After is %s, and X-RateLimit-Reset %s away from that", wait, off)
	}
	// Whatever is asked, a user who is over the limit is, and health is not.
	admin.get("/nowhere").wantLimited(t)
	admin.get("/docs").wantLimited(t)
	admin.post("/mcp/none/mcp", object{}).wantLimited(t)
	admin.get("/health").want(t, 200).wantRate(t, 25, 0)
	admin.get("/health/ready").want(t, 200).wantRate(t, 25, 0)

	// The sign-in was the first of the address, and what has no live token follows.
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
		t.Error("the log has no line of a request that was refused")
	}
}

// Within a second there may be so many, and who waits as told is let in.
func TestRateLimitBurst(t *testing.T) {
	t.Parallel()
	s := limited(t, 0, "AGENTAREA_RATE_LIMIT_BURST=3")
	admin := s.signIn()
	began := time.Now()
	refused := concurrently(40, func(int) *reply { return admin.get("/v1/auth/me") })
	seconds := int(time.Since(began)/time.Second) + 1
	if let := 40 - len(refused); let < 3 || let > 3*seconds {
		t.Errorf("%d of 40 were let in within %d s", let, seconds)
	}
	var wait time.Duration
	for _, r := range refused {
		wait = max(wait, r.wantLimited(t))
		if r.header.Get("X-RateLimit-Limit") != "" {
			t.Errorf("without a limit a minute there is %v", r.header)
		}
	}
	if wait != time.Second {
		t.Errorf("Retry-After is %s", wait)
	}
	time.Sleep(wait)
	admin.get("/v1/auth/me").want(t, 200)
}

// The headers are on whatever is answered.
func TestRateLimitHeaders(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.env = append(s.env, "AGENTAREA_RATE_LIMIT_PER_MINUTE=1000", "AGENTAREA_MCP_LISTEN=127.0.0.1:0")
	s.start()
	admin, nobody := s.signIn(), s.anonymous()
	agent := admin.newAgent("echo")
	server := admin.post("/v1/mcp-servers", object{"name": "none", "config": object{"command": "cat"}, "auto_start": false}).want(t, 201)
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
				t.Errorf("%s: %s is %q", name, header, r.header.Values(header))
			}
		}
	}
	off := start(t, "")
	if h := off.signIn().get("/v1/auth/me").want(t, 200).header; h.Get("X-RateLimit-Limit")+h.Get("X-RateLimit-Remaining")+h.Get("X-RateLimit-Reset") != "" {
		t.Errorf("with the limits off there is %v", h)
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
			t.Fatalf("a role without a limit is told %v", r.header)
		}
	}
}

// Two servers on one database count a user's requests, and the sign-ins of a name,
// together.
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

	refused := concurrently(12, func(i int) *reply {
		nobody := &client{t: t, url: []string{a.url, b.url}[i%2]}
		return nobody.post("/v1/auth/login", object{"username": "ann", "password": "wrong"})
	})
	if len(refused) != 2 {
		t.Errorf("%d of 12 sign-ins were refused, and 10 may fail", len(refused))
	}
	for _, r := range refused {
		r.wantLimited(t)
	}
}

// atOnce sends n requests at once, for passwords take long to check, and gives the
// replies of those that were too many.
func concurrently(n int, send func(i int) *reply) (refused []*reply) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r := send(i)
			mu.Lock()
			defer mu.Unlock()
			if r.status == http.StatusTooManyRequests {
				refused = append(refused, r)
			}
		})
	}
	wg.Wait()
	return refused
}

// X-Forwarded-For counts when a trusted proxy has written it, and only what that one wrote.
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
		// Whatever the client itself has written before.
		from(nobody, "198.51.100."+itoa(i)+", 203.0.113.7, 10.0.0.9").want(t, 404).wantRate(t, 5, 4-i)
	}
	from(nobody, "203.0.113.7").wantLimited(t)
	from(nobody, "203.0.113.8").want(t, 404).wantRate(t, 5, 4)
	from(nobody, "2001:db8::1").want(t, 404).wantRate(t, 5, 4)
	from(nobody, "2001:db8::2").want(t, 404).wantRate(t, 5, 3)
	from(nobody, "unknown").want(t, 404).wantRate(t, 5, 4) // the proxy's own
	if log := proxied.stderr.String(); !strings.Contains(log, "address=203.0.113.7") || strings.Contains(log, "address=198.51.100.") {
		t.Error("the log does not have the clients' addresses")
	}
}

// Sign-ins are limited by address, whatever the limits of requests are.
func TestLoginLimitByAddress(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.env = append(s.env, "AGENTAREA_TRUSTED_PROXIES=127.0.0.1")
	s.start()
	nobody := s.anonymous()
	guess := func(i int, address string) *reply {
		return nobody.do("POST", "/v1/auth/login", object{"username": "user-" + itoa(i), "password": "wrong"}, "X-Forwarded-For: "+address)
	}
	refused := concurrently(33, func(i int) *reply { return guess(i, []string{"203.0.113.7", "198.51.100.1, 203.0.113.7"}[i%2]) })
	if len(refused) != 3 {
		t.Fatalf("%d of 33 were refused, and 30 may try", len(refused))
	}
	for _, r := range refused {
		if f := r.failure(t); r.wantLimited(t) > time.Minute || !strings.Contains(f.Message, "sign-ins") {
			t.Errorf("%+v", f)
		}
	}
	guess(33, "203.0.113.8").want(t, 401)
	s.signIn()
}
