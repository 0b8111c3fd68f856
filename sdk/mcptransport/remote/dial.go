package remote

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/agentarea/agentarea/sdk/netguard"
)

// dialer connects to addresses that its guard allows, and to the configured proxies.
type dialer struct {
	guard   *netguard.Guard
	timeout time.Duration
	proxies sync.Map // keys are addresses in the form host:port
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if _, ok := d.proxies.Load(address); ok {
		plain := net.Dialer{Timeout: d.timeout}
		return plain.DialContext(ctx, network, address)
	}
	return d.guard.Dial(ctx, d.timeout, network, address)
}

// via returns a proxy function that also checks the target of a request with the guard, as far as this is
// possible without the proxy.
func (d *dialer) via(proxy func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(r *http.Request) (*url.URL, error) {
		u, err := proxy(r)
		if u == nil || err != nil {
			return u, err
		}
		if err := d.guard.Resolve(r.Context(), r.URL.Hostname()); err != nil {
			return nil, err
		}
		d.proxies.Store(net.JoinHostPort(u.Hostname(), portOf(u)), true)
		return u, nil
	}
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	case u.Scheme == "http":
		return "80"
	}
	return "1080" // socks5
}
