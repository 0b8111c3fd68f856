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

// rig is a limited server, by the clock of the test. Who asks says so in a header.
type rig struct {
	*clock
	handler http.Handler
}

func newRig(change ...func(*Options)) *rig {
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
	return &rig{clock: c, handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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

func (r *rig) get(path, who string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, path, nil)
	req.Header.Set("From", who)
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	return w
}

// want checks an answer: its status and the three headers, or none.
func (r *rig) want(t *testing.T, w *httptest.ResponseRecorder, status int, limit, remaining string, reset time.Duration) {
	t.Helper()
	h := w.Result().Header
	at := ""
	if limit != "" {
		at = strconv.FormatInt(r.now().Add(reset).Unix(), 10)
	}
	if w.Code != status || h.Get("X-RateLimit-Limit") != limit || h.Get("X-RateLimit-Remaining") != remaining || h.Get("X-RateLimit-Reset") != at {
		t.Errorf("got %d with %v; want %d, %s, %s, %s", w.Code, h, status, limit, remaining, at)
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	r := newRig()
	r.want(t, r.get("/", "ann"), http.StatusTeapot, "5", "4", time.Minute)
	r.pass(500 * time.Millisecond)
	r.want(t, r.get("/", "ann"), http.StatusTeapot, "5", "3", time.Minute-500*time.Millisecond)
	w := r.get("/", "ann")
	r.want(t, w, http.StatusTooManyRequests, "5", "3", time.Minute)
	if w.Header().Get("Retry-After") != "500ms" || !strings.Contains(w.Body.String(), "at most 2 within a second") {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	r.want(t, r.get("/", "bob"), http.StatusTeapot, "5", "4", time.Minute+500*time.Millisecond) // rounded up
	for range 3 {
		r.pass(time.Second)
		r.get("/", "ann")
	}
	r.pass(time.Second)
	w = r.get("/", "ann")
	r.want(t, w, http.StatusTooManyRequests, "5", "0", 56*time.Second)
	if w.Header().Get("Retry-After") != "55.5s" || !strings.Contains(w.Body.String(), "at most 5 a minute") {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	r.pass(55500 * time.Millisecond)
	r.want(t, r.get("/", "ann"), http.StatusTeapot, "5", "4", time.Minute)
}

func TestLimitByRole(t *testing.T) {
	t.Parallel()
	r := newRig()
	for i := range 10 {
		r.want(t, r.get("/", "root admin"), http.StatusTeapot, "50", strconv.Itoa(49-i), time.Minute)
	}
	r.want(t, r.get("/", "root admin"), http.StatusTooManyRequests, "50", "40", time.Minute)
	for range 100 {
		r.want(t, r.get("/", "vic viewer"), http.StatusTeapot, "", "", 0)
	}
	r.want(t, r.get("/", "mia member"), http.StatusTeapot, "5", "4", time.Minute)
}

// Health and metrics are told how things stand and are never refused, nor counted.
func TestLimitLeavesHealthAlone(t *testing.T) {
	t.Parallel()
	r := newRig()
	for range 2 {
		r.get("/v1/agents", "ann")
	}
	for _, path := range []string{"/health", "/health/", "/health/ready", "/health/ready/", "/metrics"} {
		for range 10 {
			r.want(t, r.get(path, "ann"), http.StatusTeapot, "5", "3", time.Minute)
		}
		r.want(t, r.get(path, "nobody"), http.StatusTeapot, "5", "5", time.Minute)
	}
	r.want(t, r.get("/healthy", "ann"), http.StatusTooManyRequests, "5", "3", time.Minute)
}

func TestLimitOff(t *testing.T) {
	t.Parallel()
	off := newRig(func(o *Options) { o.Default, o.Roles = core.RateLimit{}, nil })
	noMinute := newRig(func(o *Options) { o.Default.PerMinute = 0 })
	noBurst := newRig(func(o *Options) { o.Default.Burst = 0 })
	for i := range 7 {
		off.want(t, off.get("/", "ann"), http.StatusTeapot, "", "", 0)
		want := http.StatusTeapot
		if i >= 2 {
			want = http.StatusTooManyRequests
		}
		noMinute.want(t, noMinute.get("/", "ann"), want, "", "", 0)
		want = http.StatusTeapot
		if i >= 5 {
			want = http.StatusTooManyRequests
		}
		noBurst.want(t, noBurst.get("/", "ann"), want, "5", strconv.Itoa(max(4-i, 0)), time.Minute)
	}
}

// BenchmarkAdmit is what a limit adds to a request, in memory.
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
