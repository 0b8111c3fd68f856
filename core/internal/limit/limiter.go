package limit

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
)

// Counter is a Memory or a Shared.
type Counter interface {
	core.RateCounter
	// look says where a key stands as far as is known here, and counts nothing.
	look(key string) core.Rate
}

// Options are what a Limiter is made of.
type Options struct {
	Counter Counter
	// Default limits whom no role of Roles does.
	Default core.RateLimit
	Roles   map[core.Role]core.RateLimit
	// Now is the clock by which X-RateLimit-Reset is told; time.Now unless set.
	Now func() time.Time
}

// Limiter limits requests. Each reply says by X-RateLimit-Limit how many a minute
// there may be, by X-RateLimit-Remaining how many are left of them and by
// X-RateLimit-Reset from when on, in Unix seconds, all of them are there again. Who
// has no limit a minute is told nothing.
type Limiter struct{ Options }

// New makes a Limiter.
func New(o Options) *Limiter {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Limiter{o}
}

// Admit counts a request under a key and tells how things stand in the headers. It
// fails with RateLimited. Nobody is refused because the counter fails.
func (l *Limiter) Admit(r *http.Request, h http.Header, key string, role core.Role) error {
	limit, ok := l.Roles[role]
	if !ok {
		limit = l.Default
	}
	if limit.Unlimited() {
		return nil
	}
	if free(r.URL.Path) {
		l.tell(h, limit, l.Counter.look(key))
		return nil
	}
	rate, err := l.Counter.TakeRate(r.Context(), key, limit)
	l.tell(h, limit, rate)
	if err != nil || rate.Allowed {
		return nil //nolint:nilerr // Memory and Shared do not fail
	}
	return tooMany(limit, rate)
}

// free says that what watches over the server asks, which must have its answer.
func free(path string) bool {
	switch strings.TrimSuffix(path, "/") {
	case "/health", "/health/ready", "/metrics":
		return true
	}
	return false
}

func (l *Limiter) tell(h http.Header, limit core.RateLimit, rate core.Rate) {
	if limit.PerMinute <= 0 {
		return
	}
	// Rounded up: at that second the window is over.
	reset := l.Now().Add(rate.Minute.Remaining + time.Second - time.Nanosecond).Unix()
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit.PerMinute))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(limit.PerMinute-rate.Minute.Count, 0)))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
}

func tooMany(limit core.RateLimit, rate core.Rate) *core.Error {
	message := fmt.Sprintf("Too many requests: at most %d within a second", limit.Burst)
	if limit.PerMinute > 0 && rate.Minute.Count >= limit.PerMinute {
		message = fmt.Sprintf("Too many requests: at most %d a minute", limit.PerMinute)
	}
	return &core.Error{Code: core.CodeRateLimited, Message: message + "; Retry-After says when to try again", RetryAfter: rate.RetryAfter(limit)}
}
