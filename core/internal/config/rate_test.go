package config

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

func TestRoleLimits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]RoleLimits{
		"":             {},
		"admin=600/60": {core.RoleAdmin: {PerMinute: 600, Burst: 60}},
		"admin=0/0, viewer = 50 / 10,member=9/0": {
			core.RoleAdmin: {}, core.RoleViewer: {PerMinute: 50, Burst: 10}, core.RoleMember: {PerMinute: 9},
		},
	} {
		var l RoleLimits
		if err := l.UnmarshalText([]byte(text)); err != nil || !maps.Equal(l, want) {
			t.Errorf("%q = %v, %v; want %v", text, l, err, want)
		}
	}
	for text, want := range map[string]string{
		"admin":                    `"admin" is not a valid role limit (write ROLE=PER-MINUTE/PER-SECOND`,
		"admin=600":                `"admin=600" is not a valid role limit`,
		"root=600/60":              `the roles are admin, member and viewer`,
		"admin=-1/60":              `"admin=-1/60" is not a valid role limit`,
		"admin=600/99999999999":    `is not a valid role limit`,
		"admin=600/60/7":           `is not a valid role limit`,
		"admin=600/60,admin=60/60": `duplicate role admin (write each role once)`,
	} {
		var l RoleLimits
		if err := l.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q = %v, %v; want %q", text, l, err, want)
		}
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Networks{
		"":                        {},
		"10.1.2.3/8":              {netip.MustParsePrefix("10.0.0.0/8")},
		"127.0.0.1, ::1,fd00::/8": {netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fd00::/8")},
		"::ffff:10.0.0.1":         {netip.MustParsePrefix("10.0.0.1/32")},
	} {
		var n Networks
		if err := n.UnmarshalText([]byte(text)); err != nil || !slices.Equal(n, want) {
			t.Errorf("%q = %v, %v; want %v", text, n, err, want)
		}
	}
	for _, text := range []string{"localhost", "10.0.0.0/33", "10.0.0.1:80", "fe80::1%eth0", "::ffff:10.0.0.0/104", "*"} {
		var n Networks
		if err := n.UnmarshalText([]byte(text)); err == nil ||
			!strings.Contains(err.Error(), "(write 10.0.0.5, 10.0.0.0/8 or fd00::/8") {
			t.Errorf("UnmarshalText(%q) = %v, %v, want an error with examples", text, n, err)
		}
	}
}
