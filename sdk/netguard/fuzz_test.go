package netguard_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/sdk/netguard"
)

// Addresses that package netip calls private, loopback or link-local are blocked in any notation, and a
// list allows only its entries.
func FuzzGuard(f *testing.F) {
	for _, s := range [][2]string{
		{"127.0.0.1", "10.0.0.0/8"},
		{"::ffff:10.0.0.1", "10.0.0.1"},
		{"fe80::1%eth0", "fe80::/10"},
		{"64:ff9b::a9fe:a9fe", "64:ff9b::/96"},
		{"2002:7f00:1::", "::/0"},
		{"0x7f.1", "0x7f.1"},
		{"localhost.", "localhost"},
		{"169.254.169.254", "0.0.0.0/0"},
		{"::", "::"},
		{"[::1]", "[::1]"},
		{"8.8.8.8", "8.8.8.8/33"},
		{"::ffff:169.254.169.254", "::ffff:0:0/96"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, host, entry string) {
		addr, err := netip.ParseAddr(host)
		inside := err == nil && insideOf(addr)
		if (&netguard.Guard{}).Check(host) == nil && inside {
			t.Errorf("Check(%s) = nil, want a BlockedError", host)
		}
		g, bad := netguard.New([]string{entry})
		if bad != nil || g.Check(host) != nil || !inside {
			return
		}
		if u := addr.Unmap(); u.IsLinkLocalUnicast() {
			t.Errorf("the entry %q allows %s, want a BlockedError", entry, host)
		}
		text := strings.Trim(strings.TrimSpace(entry), "[]")
		one, oneErr := netip.ParseAddr(text)
		many, manyErr := netip.ParsePrefix(text)
		named := oneErr == nil && one.Unmap() == addr.Unmap().WithZone("") || manyErr == nil &&
			many.Contains(addr.Unmap().WithZone(""))
		if !named && !strings.EqualFold(strings.TrimSuffix(text, "."), strings.TrimSuffix(host, ".")) {
			t.Errorf("the entry %q allows %s, want a BlockedError", entry, host)
		}
	})
}

func insideOf(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsMulticast() ||
		addr.IsUnspecified() || addr.IsInterfaceLocalMulticast()
}
