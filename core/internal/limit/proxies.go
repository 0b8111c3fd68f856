package limit

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are those whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// Believe has the request come from its client's address instead of its proxy's, for
// all who look at RemoteAddr from here on.
func (p Proxies) Believe(next http.Handler) http.Handler {
	if len(p) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client, ok := p.client(r); ok {
			r.RemoteAddr = net.JoinHostPort(client.String(), "0")
		}
		next.ServeHTTP(w, r)
	})
}

func (p Proxies) trusted(a netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// client reads the header from its end, where the nearest proxy has written, up to
// the first address that is no trusted proxy's: what is before that anybody may have
// written. When all are trusted it is the first of all. It is not believed when what
// a trusted proxy wrote is no address.
func (p Proxies) client(r *http.Request) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !p.trusted(peer.Addr().Unmap().WithZone("")) {
		return netip.Addr{}, false
	}
	var client netip.Addr
	// Several lines are one list.
	for rest := strings.Join(r.Header["X-Forwarded-For"], ","); rest != ""; {
		last := rest
		if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
			rest, last = rest[:comma], rest[comma+1:]
		} else {
			rest = ""
		}
		if last = strings.TrimSpace(last); last == "" {
			continue
		}
		a, ok := forwarded(last)
		if !ok {
			return netip.Addr{}, false
		}
		if client = a; !p.trusted(a) {
			break
		}
	}
	return client, client.IsValid()
}

// forwarded is an address, which some proxies write with its port.
func forwarded(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		a = withPort.Addr()
	}
	a = a.Unmap()
	return a, a.Zone() == ""
}
