package limit

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
)

// Counter counts requests. It is a Memory or a Shared.
type Counter interface {
	core.RateCounter
	// look returns the rate of a key as far as this process knows it, without counting a request.
	look(key string) core.Rate
}

// Options configure a Limiter.
type Options struct {
	Counter Counter
	// Roles has the limits of roles; Default applies to all others.
	Default core.RateLimit
	Roles   map[core.Role]core.RateLimit
	// Now is the clock for X-RateLimit-Reset. The default is time.Now.
	Now func() time.Time
}

// Limiter limits requests. It sets three headers of every response: X-RateLimit-Limit is the number of
// requests per minute, X-RateLimit-Remaining is the number of them that are left, and X-RateLimit-Reset is the
// Unix time in seconds at which all of them are available again. The headers are omitted for users without
// a limit per minute.
type Limiter struct{ Options }

// New returns a Limiter.
func New(o Options) *Limiter {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Limiter{o}
}

// Admit counts a request for a key and sets the headers h. It returns a RateLimited error if the request
// exceeds the limit of the role. An error of the counter does not reject the request.
func (l *Limiter) Admit(r *http.Request, h http.Header, key string, role core.Role) error {
	limit, ok := l.Roles[role]
	if !ok {
		limit = l.Default
	}
	if limit.Unlimited() {
		return nil
	}
	if isExempt(r.URL.Path) {
		l.setHeaders(h, limit, l.Counter.look(key))
		return nil
	}
	rate, err := l.Counter.TakeRate(r.Context(), key, limit)
	l.setHeaders(h, limit, rate)
	if err != nil || rate.Allowed {
		return nil //nolint:nilerr // Memory and Shared never return an error
	}
	return tooMany(limit, rate)
}

// isExempt reports whether the path is for monitoring, which must always work.
func isExempt(path string) bool {
	switch strings.TrimSuffix(path, "/") {
	case "/health", "/health/ready", "/metrics":
		return true
	}
	return false
}

// setHeaders sets the X-RateLimit headers.
func (l *Limiter) setHeaders(h http.Header, limit core.RateLimit, rate core.Rate) {
	if limit.PerMinute <= 0 {
		return
	}
	// Round up, so that the window has ended at that second.
	reset := l.Now().Add(rate.Minute.Remaining + time.Second - time.Nanosecond).Unix()
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit.PerMinute))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(limit.PerMinute-rate.Minute.Count, 0)))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
}

// tooMany returns the error for a request that exceeds the limit.
func tooMany(limit core.RateLimit, rate core.Rate) *core.Error {
	message := fmt.Sprintf("Too many requests: the limit is %d per second", limit.Burst)
	if limit.PerMinute > 0 && rate.Minute.Count >= limit.PerMinute {
		message = fmt.Sprintf("Too many requests: the limit is %d per minute", limit.PerMinute)
	}
	return &core.Error{
		Code: core.CodeRateLimited, Message: message + ". Retry after the time in the Retry-After header",
		RetryAfter: rate.RetryAfter(limit),
	}
}
