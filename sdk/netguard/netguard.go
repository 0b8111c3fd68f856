// Package netguard is for plugins that connect to addresses which users name. It
// refuses those inside the server's own network, unless an admin allows them.
//
// The address is judged when it is dialled, after names have been resolved: a
// name that changes where it leads, and a redirect, are judged like any other.
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

// Guard judges addresses. The zero one allows public addresses only.
type Guard struct {
	// Resolver resolves names; nil is the system's.
	Resolver *net.Resolver

	hosts    []string
	prefixes []netip.Prefix
}

// New makes a guard that lets pass, beside public addresses, those of allow: IP
// addresses, networks in CIDR notation, and names of hosts, which may then lead
// anywhere. Link-local addresses and those of a cloud's metadata never pass. An
// error is a *BadEntry.
func New(allow []string) (*Guard, error) {
	g := &Guard{}
	for i, entry := range allow {
		text := strings.TrimSpace(entry)
		prefix, isPrefix := parsePrefix(text)
		switch {
		case isPrefix && classify(prefix.Addr()).forever():
			return nil, &BadEntry{Index: i, Reason: "link-local addresses and those of a cloud's metadata are never allowed"}
		case isPrefix:
			g.prefixes = append(g.prefixes, prefix)
		case isHost(text):
			g.hosts = append(g.hosts, hostKey(text))
		default:
			return nil, &BadEntry{Index: i, Reason: `is no host, IP address or network, as "localhost", "10.1.2.3" or "10.0.0.0/8"`}
		}
	}
	return g, nil
}

// BadEntry is what New can't read.
type BadEntry struct {
	Index  int
	Reason string
}

func (e *BadEntry) Error() string { return fmt.Sprintf("entry %d: %s", e.Index, e.Reason) }

// Refused says that an address may not be dialled.
type Refused struct {
	// Host is what was asked for.
	Host string
	// Class is what the address is: "a private address".
	Class string
	// Forever says that no allow can let it pass.
	Forever bool
}

func (e *Refused) Error() string { return e.Host + " leads to " + e.Class }

// Check judges a host that is an IP address or localhost; nil for other names,
// which are judged when they are dialled. An error is a *Refused.
func (g *Guard) Check(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.judge(host, addr)
	}
	if hostKey(host) == "localhost" {
		return g.judge(host, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	return nil
}

// Resolve judges all addresses that a name has now, for connections that somebody
// else makes. A name that can't be resolved passes.
func (g *Guard) Resolve(ctx context.Context, host string) error {
	if err := g.Check(host); err != nil {
		return err
	}
	addrs, err := g.resolver().LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil //nolint:nilerr // whoever connects may know the name
	}
	for _, addr := range addrs {
		if err := g.judge(host, addr); err != nil {
			return err
		}
	}
	return nil
}

// Dial connects as net.Dialer does, within timeout. The error of an address that
// is refused holds a *Refused.
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
			return g.judge(host, to.Addr())
		},
	}
	return d.DialContext(ctx, network, address)
}

func (g *Guard) judge(host string, addr netip.Addr) error {
	c := classify(addr)
	if c == public || !c.forever() && g.allows(host, addr.Unmap().WithZone("")) {
		return nil
	}
	return &Refused{Host: host, Class: string(c), Forever: c.forever()}
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

// hostKey is the one way that a host's name is written here.
func hostKey(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

func parsePrefix(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		if p.Addr().Is4In6() {
			return netip.Prefix{}, false // it would match nothing
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
		plain := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '_'
		if !plain {
			return false
		}
	}
	// A name whose last label is a number is a mistyped address.
	last := text[strings.LastIndexByte(strings.TrimSuffix(text, "."), '.')+1:]
	return strings.Trim(last, "0123456789.") != ""
}
