package limit

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// fixture is a server with a limiter and a test clock. The From header of a request has its key and role.
type fixture struct {
	*clock
	handler http.Handler
}

func newFixture(change ...func(*Options)) *fixture {
	c := newClock()
	o := Options{
		Counter: NewMemory(c.now), Now: c.now,
		Default: core.RateLimit{PerMinute: 5, Burst: 2},
		Roles:   map[core.Role]core.RateLimit{core.RoleAdmin: {PerMinute: 50, Burst: 10}, core.RoleViewer: {}},
	}
	for _, f := range change {
		f(&o)
	}
	l := New(o)
	return &fixture{clock: c, handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, role, _ := strings.Cut(r.Header.Get("From"), " ")
		err := l.Admit(r, w.Header(), name, core.Role(role))
		var e *core.Error
		if errors.As(err, &e) && e.Code == core.CodeRateLimited {
			w.Header().Set("Retry-After", e.RetryAfter.String())
			http.Error(w, e.Message, http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusTeapot)
	})}
}

func (r *fixture) get(path, caller string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, path, nil)
	req.Header.Set("From", caller)
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	return w
}

// check checks the status and the three headers of a response. Without a limit there must be no headers.
func (r *fixture) check(
	t *testing.T, w *httptest.ResponseRecorder, status int, limit, remaining string, reset time.Duration,
) {
	t.Helper()
	h := w.Result().Header
	at := ""
	if limit != "" {
		at = strconv.FormatInt(r.now().Add(reset).Unix(), 10)
	}
	if w.Code != status || h.Get("X-RateLimit-Limit") != limit || h.Get("X-RateLimit-Remaining") != remaining ||
		h.Get("X-RateLimit-Reset") != at {
		t.Errorf("got %d with %v; want %d, %s, %s, %s", w.Code, h, status, limit, remaining, at)
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	r := newFixture()
	r.check(t, r.get("/", "ann"), http.StatusTeapot, "5", "4", time.Minute)
	r.advance(500 * time.Millisecond)
	r.check(t, r.get("/", "ann"), http.StatusTeapot, "5", "3", time.Minute-500*time.Millisecond)
	w := r.get("/", "ann")
	r.check(t, w, http.StatusTooManyRequests, "5", "3", time.Minute)
	if w.Header().Get("Retry-After") != "500ms" || !strings.Contains(w.Body.String(), "the limit is 2 per second") {
		t.Errorf("headers %v, body %s: wrong Retry-After or message", w.Header(), w.Body)
	}
	r.check(t, r.get("/", "bob"), http.StatusTeapot, "5", "4", time.Minute+500*time.Millisecond) // rounded up
	for range 3 {
		r.advance(time.Second)
		r.get("/", "ann")
	}
	r.advance(time.Second)
	w = r.get("/", "ann")
	r.check(t, w, http.StatusTooManyRequests, "5", "0", 56*time.Second)
	if w.Header().Get("Retry-After") != "55.5s" || !strings.Contains(w.Body.String(), "the limit is 5 per minute") {
		t.Errorf("headers %v, body %s: wrong Retry-After or message", w.Header(), w.Body)
	}
	r.advance(55500 * time.Millisecond)
	r.check(t, r.get("/", "ann"), http.StatusTeapot, "5", "4", time.Minute)
}

func TestLimitByRole(t *testing.T) {
	t.Parallel()
	r := newFixture()
	for i := range 10 {
		r.check(t, r.get("/", "root admin"), http.StatusTeapot, "50", strconv.Itoa(49-i), time.Minute)
	}
	r.check(t, r.get("/", "root admin"), http.StatusTooManyRequests, "50", "40", time.Minute)
	for range 100 {
		r.check(t, r.get("/", "vic viewer"), http.StatusTeapot, "", "", 0)
	}
	r.check(t, r.get("/", "mia member"), http.StatusTeapot, "5", "4", time.Minute)
}

// Requests for health and metrics have the headers, but are never rejected and not counted.
func TestLimit_healthIsExempt(t *testing.T) {
	t.Parallel()
	r := newFixture()
	for range 2 {
		r.get("/v1/agents", "ann")
	}
	for _, path := range []string{"/health", "/health/", "/health/ready", "/health/ready/", "/metrics"} {
		for range 10 {
			r.check(t, r.get(path, "ann"), http.StatusTeapot, "5", "3", time.Minute)
		}
		r.check(t, r.get(path, "nobody"), http.StatusTeapot, "5", "5", time.Minute)
	}
	r.check(t, r.get("/healthy", "ann"), http.StatusTooManyRequests, "5", "3", time.Minute)
}

func TestLimitOff(t *testing.T) {
	t.Parallel()
	off := newFixture(func(o *Options) { o.Default, o.Roles = core.RateLimit{}, nil })
	noMinute := newFixture(func(o *Options) { o.Default.PerMinute = 0 })
	noBurst := newFixture(func(o *Options) { o.Default.Burst = 0 })
	for i := range 7 {
		off.check(t, off.get("/", "ann"), http.StatusTeapot, "", "", 0)
		want := http.StatusTeapot
		if i >= 2 {
			want = http.StatusTooManyRequests
		}
		noMinute.check(t, noMinute.get("/", "ann"), want, "", "", 0)
		want = http.StatusTeapot
		if i >= 5 {
			want = http.StatusTooManyRequests
		}
		noBurst.check(t, noBurst.get("/", "ann"), want, "5", strconv.Itoa(max(4-i, 0)), time.Minute)
	}
}

// BenchmarkAdmit measures the cost of a limit in memory for a request.
func BenchmarkAdmit(b *testing.B) {
	l := core.RateLimit{PerMinute: 1 << 40, Burst: 1 << 40}
	for name, limiter := range map[string]*Limiter{
		"off": New(Options{}),
		"on":  New(Options{Counter: NewMemory(nil), Default: l}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r, h := httptest.NewRequest(http.MethodGet, "/v1/agents", nil), http.Header{}
			for b.Loop() {
				if err := limiter.Admit(r, h, "user user-123", core.RoleMember); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
