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
	// Who says what a request counts under, and the role of who sends it, if it has one.
	Who func(*http.Request) (key string, role core.Role)
	// Refuse answers a request that is one too many.
	Refuse func(http.ResponseWriter, *http.Request, *core.Error)
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

// Limit is next, limited.
func (l *Limiter) Limit(next http.Handler) http.Handler {
	if l.off() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, role := l.Who(r)
		limit, ok := l.Roles[role]
		if !ok {
			limit = l.Default
		}
		if limit.Off() {
			next.ServeHTTP(w, r)
			return
		}
		if free(r.URL.Path) {
			l.tell(w.Header(), limit, l.Counter.look(key))
			next.ServeHTTP(w, r)
			return
		}
		rate, err := l.Counter.TakeRate(r.Context(), key, limit)
		l.tell(w.Header(), limit, rate)
		if err == nil && !rate.Taken {
			l.Refuse(w, r, tooMany(limit, rate))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (l *Limiter) off() bool {
	for _, limit := range l.Roles {
		if !limit.Off() {
			return false
		}
	}
	return l.Default.Off()
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
	reset := l.Now().Add(rate.Minute.Left + time.Second - time.Nanosecond).Unix()
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit.PerMinute))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(limit.PerMinute-rate.Minute.Count, 0)))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
}

func tooMany(limit core.RateLimit, rate core.Rate) *core.Error {
	message := fmt.Sprintf("Too many requests: at most %d within a second", limit.Burst)
	if limit.PerMinute > 0 && rate.Minute.Count >= limit.PerMinute {
		message = fmt.Sprintf("Too many requests: at most %d a minute", limit.PerMinute)
	}
	return &core.Error{Code: core.CodeRateLimited, Message: message + "; Retry-After says when to try again", RetryAfter: rate.Wait(limit)}
}
