package app

import (
	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/limit"
)

// openRates creates the counters of requests and sign-ins. On a database that several servers can use,
// the servers share one counter. In memory there are two, so that a flood of requests cannot evict the
// counts of failed sign-ins.
func (a *App) openRates() {
	if store := a.db.Rates(); store != nil {
		shared := limit.NewShared(store, a.logger)
		a.onClose(func() error { shared.Close(); return nil })
		a.rates, a.loginRates = shared, shared
		return
	}
	a.rates, a.loginRates = limit.NewMemory(nil), limit.NewMemory(nil)
}

// limits returns the limiter of API requests.
func (a *App) limits() *limit.Limiter {
	return limit.New(limit.Options{
		Counter: a.rates,
		Default: core.RateLimit{PerMinute: a.settings.RateLimitPerMinute, Burst: a.settings.RateLimitBurst},
		Roles:   a.settings.RateLimitRoles,
	})
}
