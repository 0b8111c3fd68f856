package limit

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks of proxies whose X-Forwarded-For header is trusted.
type Proxies []netip.Prefix

// SetClientAddr returns a handler that sets RemoteAddr of requests from a trusted proxy to the address of
// the client before it calls next.
func (p Proxies) SetClientAddr(next http.Handler) http.Handler {
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

// client returns the address of the client. It reads the header from its end, where the nearest proxy has
// appended an address, to the first address that is not a trusted proxy; anyone may have written what is
// before it. If all addresses are trusted, it returns the first one. It returns false if the peer is not
// trusted or if a trusted proxy wrote something that is not an address.
func (p Proxies) client(r *http.Request) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !p.trusted(peer.Addr().Unmap().WithZone("")) {
		return netip.Addr{}, false
	}
	var client netip.Addr
	// Several header lines are one list.
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

// forwarded parses an address. Some proxies append the port.
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
