// Package netguard protects plugins that connect to addresses from users against server-side request
// forgery. It blocks addresses in the server's own network, unless an administrator allows them.
//
// A Guard checks the address when it is dialed, after the name has been resolved. So it also checks
// redirects and names whose address changes.
package netguard

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Guard checks addresses. The zero Guard allows only public addresses.
type Guard struct {
	// Resolver resolves names. Nil means net.DefaultResolver.
	Resolver *net.Resolver

	hosts    []string
	prefixes []netip.Prefix
}

// New returns a Guard that allows public addresses and the entries of allow. An entry is an IP address, a
// network in CIDR notation, or a host name, which may resolve to any address. Link-local addresses and
// those of cloud metadata services are never allowed. If an entry is not valid, New returns an
// *EntryError.
func New(allow []string) (*Guard, error) {
	g := &Guard{}
	for i, entry := range allow {
		text := strings.TrimSpace(entry)
		prefix, isPrefix := parsePrefix(text)
		switch {
		case isPrefix && classify(prefix.Addr()).blockedAlways():
			return nil, &EntryError{
				Index: i, Reason: "link-local addresses and those of cloud metadata services are never allowed",
			}
		case isPrefix:
			g.prefixes = append(g.prefixes, prefix)
		case isHost(text):
			g.hosts = append(g.hosts, hostKey(text))
		default:
			return nil, &EntryError{
				Index: i, Reason: `is not a host, IP address or network such as "localhost", "10.1.2.3" or "10.0.0.0/8"`,
			}
		}
	}
	return g, nil
}

// EntryError reports an invalid entry of the list for New.
type EntryError struct {
	// Index is the index of the entry.
	Index int
	// Reason describes the problem.
	Reason string
}

// Error returns the index and the reason.
func (e *EntryError) Error() string { return fmt.Sprintf("entry %d: %s", e.Index, e.Reason) }

// BlockedError reports that a Guard does not allow an address.
type BlockedError struct {
	// Host is the requested host.
	Host string
	// Class describes the address. Example: "a private address".
	Class string
	// Always reports whether the address is blocked even if New allows it.
	Always bool
}

// Error returns the host and the class of its address.
func (e *BlockedError) Error() string { return e.Host + " resolves to " + e.Class }

// Check checks a host that is an IP address or localhost. It returns a *BlockedError if the host is not
// allowed. For other names it returns nil, because they are checked when they are dialed.
func (g *Guard) Check(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.checkAddr(host, addr)
	}
	if hostKey(host) == "localhost" {
		return g.checkAddr(host, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	return nil
}

// Resolve resolves a host and checks all its addresses. It is for connections that a proxy makes. It
// returns nil if the host cannot be resolved.
func (g *Guard) Resolve(ctx context.Context, host string) error {
	if err := g.Check(host); err != nil {
		return err
	}
	addrs, err := g.resolver().LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil //nolint:nilerr // the proxy may be able to resolve the name
	}
	for _, addr := range addrs {
		if err := g.checkAddr(host, addr); err != nil {
			return err
		}
	}
	return nil
}

// Dial connects like net.Dialer, within timeout. If the address is not allowed, the error wraps a
// *BlockedError.
func (g *Guard) Dial(ctx context.Context, timeout time.Duration, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{
		Timeout:  timeout,
		Resolver: g.Resolver,
		Control: func(_, resolved string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(resolved)
			if err != nil {
				return err
			}
			return g.checkAddr(host, to.Addr())
		},
	}
	return d.DialContext(ctx, network, address)
}

// checkAddr returns a *BlockedError if the address of the host is not allowed.
func (g *Guard) checkAddr(host string, addr netip.Addr) error {
	c := classify(addr)
	if c == public || !c.blockedAlways() && g.allows(host, addr.Unmap().WithZone("")) {
		return nil
	}
	return &BlockedError{Host: host, Class: string(c), Always: c.blockedAlways()}
}

func (g *Guard) allows(host string, addr netip.Addr) bool {
	return slices.Contains(g.hosts, hostKey(host)) ||
		slices.ContainsFunc(g.prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func (g *Guard) resolver() *net.Resolver {
	if g.Resolver == nil {
		return net.DefaultResolver
	}
	return g.Resolver
}

// hostKey returns the normal form of a host name.
func hostKey(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

func parsePrefix(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		if p.Addr().Is4In6() {
			return netip.Prefix{}, false // the prefix would not match any address
		}
		return p.Masked(), true
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, addr.BitLen()), true
}

func isHost(text string) bool {
	if text == "" || len(text) > 253 {
		return false
	}
	for _, r := range text {
		valid := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '_'
		if !valid {
			return false
		}
	}
	// A name whose last label is a number is probably a mistyped address.
	last := text[strings.LastIndexByte(strings.TrimSuffix(text, "."), '.')+1:]
	return strings.Trim(last, "0123456789.") != ""
}
