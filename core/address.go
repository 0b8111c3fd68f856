package core

import "net/netip"

// AddressKey returns the key under which requests from a client address are counted. For IPv4 it
// is the address. For IPv6 it is the /64 prefix, because one client usually controls all of it.
// Text that is not an IP address is returned unchanged.
func AddressKey(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	p, err := ip.Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}
