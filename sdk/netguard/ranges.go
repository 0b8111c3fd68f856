package netguard

import "net/netip"

// class describes a kind of address for error messages. It is empty for public addresses.
type class string

const (
	public      class = ""
	loopback    class = "a loopback address"
	private     class = "a private address"
	shared      class = "a shared address (carrier-grade NAT)"
	multicast   class = "a multicast address"
	unspecified class = "an unspecified address"
	reserved    class = "a reserved address"
	linkLocal   class = "a link-local address"
	metadata    class = "the address of a cloud metadata service"
)

// blockedAlways reports whether no list can allow the addresses. Services at these addresses return
// credentials of the machine.
func (c class) blockedAlways() bool { return c == linkLocal || c == metadata }

type span struct {
	prefix netip.Prefix
	class  class
}

// The first span that contains an address determines its class. Other addresses are public.
var spans4 = table(
	"169.254.0.0/16", linkLocal,
	"100.100.100.200/32", metadata, // Alibaba Cloud
	"168.63.129.16/32", metadata, // Azure
	"127.0.0.0/8", loopback,
	"10.0.0.0/8", private,
	"172.16.0.0/12", private,
	"192.168.0.0/16", private,
	"100.64.0.0/10", shared,
	"0.0.0.0/8", unspecified,
	"224.0.0.0/4", multicast,
	"192.0.0.0/24", reserved,
	"192.0.2.0/24", reserved,
	"192.88.99.0/24", reserved,
	"198.18.0.0/15", reserved,
	"198.51.100.0/24", reserved,
	"203.0.113.0/24", reserved,
	"240.0.0.0/4", reserved,
)

// Only 2000::/3 is allocated. The other unlisted addresses are reserved.
var spans6 = table(
	"fe80::/10", linkLocal,
	"fd00:ec2::254/128", metadata, // AWS
	"fd20:ce::254/128", metadata, // Google Cloud
	"::1/128", loopback,
	"::/128", unspecified,
	"fc00::/7", private,
	"fec0::/10", private,
	"ff00::/8", multicast,
	"2001::/23", reserved, // Teredo and other IETF protocol assignments
	"2001:db8::/32", reserved,
	"3fff::/20", reserved,
	"2000::/3", public,
	"::/0", reserved,
)

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")
	compatible = netip.MustParsePrefix("::/96")
)

func table(rows ...any) []span {
	var spans []span
	for i := 0; i < len(rows); i += 2 {
		spans = append(spans, span{netip.MustParsePrefix(rows[i].(string)), rows[i+1].(class)})
	}
	return spans
}

// classify returns the class of an address. For an IPv6 address that embeds an IPv4 address, it uses the
// IPv4 address.
func classify(addr netip.Addr) class {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return lookup(spans4, addr)
	}
	b := addr.As16()
	switch {
	case nat64.Contains(addr):
		return lookup(spans4, netip.AddrFrom4([4]byte(b[12:16])))
	case sixToFour.Contains(addr):
		return embedded(netip.AddrFrom4([4]byte(b[2:6])))
	case compatible.Contains(addr) && b[12]|b[13] != 0:
		return embedded(netip.AddrFrom4([4]byte(b[12:16])))
	}
	return lookup(spans6, addr)
}

// embedded returns the class of an IPv4 address in an obsolete IPv6 format. It is never public.
func embedded(addr netip.Addr) class {
	if c := lookup(spans4, addr); c != public {
		return c
	}
	return reserved
}

func lookup(spans []span, addr netip.Addr) class {
	for _, s := range spans {
		if s.prefix.Contains(addr) {
			return s.class
		}
	}
	return public
}
