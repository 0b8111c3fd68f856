package app

import (
	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/limit"
)

// openRates has requests and sign-ins counted where all servers on the database do,
// if there may be others. In memory each has its own, so that a flood of requests
// does not push out whose sign-ins fail.
func (a *App) openRates() {
	if store := a.db.Rates(); store != nil {
		shared := limit.NewShared(store, a.logger)
		a.onClose(func() error { shared.Close(); return nil })
		a.rates, a.loginRates = shared, shared
		return
	}
	a.rates, a.loginRates = limit.NewMemory(nil), limit.NewMemory(nil)
}

func (a *App) limits() *limit.Limiter {
	return limit.New(limit.Options{
		Counter: a.rates,
		Default: core.RateLimit{PerMinute: a.settings.RateLimitPerMinute, Burst: a.settings.RateLimitBurst},
		Roles:   a.settings.RateLimitRoles,
	})
}
