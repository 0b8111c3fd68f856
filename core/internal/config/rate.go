package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// RoleLimits are the rate limits of roles, written as in admin=600/60,viewer=50/10:
// how many requests a minute, and how many within a second.
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
			return fmt.Errorf("%q is no role's limit (write role=A-MINUTE/A-SECOND with commas between, as in admin=600/60,viewer=50/10; roles are admin, member and viewer, and 0 is no limit)", part)
		}
		if _, twice := all[role]; twice {
			return fmt.Errorf("%s is there twice (write each role once)", role)
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

// Networks are addresses and ranges of them, with commas between.
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
			return fmt.Errorf("%q is no address or range (write 10.0.0.5, 10.0.0.0/8 or fd00::/8, with commas between)", part)
		}
		all = append(all, prefix.Masked())
	}
	*n = all
	return nil
}

// parseNetwork takes no zone and no range of mapped IPv4, for requests' addresses
// are compared without.
func parseNetwork(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), a.Zone() == ""
	}
	p, err := netip.ParsePrefix(text)
	return p, err == nil && !p.Addr().Is4In6()
}
