package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// RoleLimits are the rate limits of roles: the requests per minute and per second. Their text form is
// admin=600/60,viewer=50/10.
type RoleLimits map[core.Role]core.RateLimit

var roles = []core.Role{core.RoleAdmin, core.RoleMember, core.RoleViewer}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *RoleLimits) UnmarshalText(text []byte) error {
	all := RoleLimits{}
	for part := range strings.SplitSeq(string(text), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		role, limit, ok := parseRoleLimit(part)
		if !ok {
			return fmt.Errorf("%q is not a valid role limit (write ROLE=PER-MINUTE/PER-SECOND, separated by commas, such as "+
				"admin=600/60,viewer=50/10; the roles are admin, member and viewer, and 0 means no limit)", part)
		}
		if _, twice := all[role]; twice {
			return fmt.Errorf("duplicate role %s (write each role once)", role)
		}
		all[role] = limit
	}
	*l = all
	return nil
}

func parseRoleLimit(part string) (core.Role, core.RateLimit, bool) {
	name, numbers, _ := strings.Cut(part, "=")
	minute, second, _ := strings.Cut(numbers, "/")
	role := core.Role(strings.TrimSpace(name))
	perMinute, err1 := strconv.ParseUint(strings.TrimSpace(minute), 10, 31)
	burst, err2 := strconv.ParseUint(strings.TrimSpace(second), 10, 31)
	ok := slices.Contains(roles, role) && err1 == nil && err2 == nil
	return role, core.RateLimit{PerMinute: int(perMinute), Burst: int(burst)}, ok
}

// Networks are IP addresses and networks. Their text form is separated by commas.
type Networks []netip.Prefix

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Networks) UnmarshalText(text []byte) error {
	all := Networks{}
	for part := range strings.SplitSeq(string(text), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		prefix, ok := parseNetwork(part)
		if !ok {
			return fmt.Errorf("%q is not a valid IP address or network (write 10.0.0.5, 10.0.0.0/8 or fd00::/8, "+
				"separated by commas)", part)
		}
		all = append(all, prefix.Masked())
	}
	*n = all
	return nil
}

// parseNetwork parses an address or a network. It rejects zones and networks of IPv4-mapped IPv6 addresses,
// because the addresses of requests are compared without them.
func parseNetwork(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), a.Zone() == ""
	}
	p, err := netip.ParsePrefix(text)
	return p, err == nil && !p.Addr().Is4In6()
}
