package app

import (
	"net/http"
	"strings"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/auth"
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

// limits keeps all that is served within the limits, by the addresses that the
// trusted proxies tell.
func (a *App) limits(authn *auth.Auth, next http.Handler) http.Handler {
	l := limit.New(limit.Options{
		Counter: a.rates,
		Default: core.RateLimit{PerMinute: a.settings.RateLimitPerMinute, Burst: a.settings.RateLimitBurst},
		Roles:   a.settings.RateLimitRoles,
		Refuse:  api.Refuse,
		Who: func(r *http.Request) (string, core.Role) {
			_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			if p, err := authn.Verify(r.Context(), token); err == nil {
				return "user " + p.User.ID, p.User.Role
			}
			return "address " + core.AddressKey(api.Address(r)), ""
		},
	})
	return limit.Proxies(a.settings.TrustedProxies).Believe(l.Limit(next))
}
