package netguard_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/netguard"
	"github.com/agentarea/agentarea/sdk/netguard/netguardtest"
)

func guard(t *testing.T, allow ...string) *netguard.Guard {
	t.Helper()
	g, err := netguard.New(allow)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestCheck_classes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		host string
		// class is a part of the error, or empty if the address is allowed.
		class string
	}{
		{"8.8.8.8", ""},
		{"1.1.1.1", ""},
		{"2606:4700::1111", ""},
		{"example.com", ""},
		{"::ffff:8.8.8.8", ""},
		{"64:ff9b::808:808", ""},
		{"172.15.255.255", ""},
		{"172.32.0.1", ""},
		{"100.63.255.255", ""},
		{"127.0.0.1", "loopback"},
		{"127.255.1.2", "loopback"},
		{"localhost", "loopback"},
		{"LOCALHOST.", "loopback"},
		{"::1", "loopback"},
		{"::ffff:127.0.0.1", "loopback"},
		{"::ffff:7f00:1", "loopback"},
		{"64:ff9b::7f00:1", "loopback"},
		{"2002:7f00:1::", "loopback"},
		{"::127.0.0.1", "loopback"},
		{"10.1.2.3", "private"},
		{"172.16.0.1", "private"},
		{"172.31.255.255", "private"},
		{"192.168.0.1", "private"},
		{"fc00::1", "private"},
		{"fdff::1", "private"},
		{"fec0::1", "private"},
		{"::ffff:10.0.0.1", "private"},
		{"100.64.0.1", "shared"},
		{"100.127.255.255", "shared"},
		{"169.254.169.254", "link-local"},
		{"169.254.0.1", "link-local"},
		{"::ffff:169.254.169.254", "link-local"},
		{"64:ff9b::a9fe:a9fe", "link-local"},
		{"2002:a9fe:a9fe::1", "link-local"},
		{"fe80::1", "link-local"},
		{"fe80::1%eth0", "link-local"},
		{"fd00:ec2::254", "metadata"},
		{"fd20:ce::254", "metadata"},
		{"100.100.100.200", "metadata"},
		{"168.63.129.16", "metadata"},
		{"224.0.0.1", "multicast"},
		{"ff02::1", "multicast"},
		{"0.0.0.0", "unspecified"},
		{"0.1.2.3", "unspecified"},
		{"::", "unspecified"},
		{"255.255.255.255", "reserved"},
		{"240.0.0.1", "reserved"},
		{"198.18.0.1", "reserved"},
		{"192.0.2.1", "reserved"},
		{"2001:db8::1", "reserved"},
		{"2001::1", "reserved"},
		{"2002:808:808::", "reserved"},
		{"4000::1", "reserved"},
		{"100::1", "reserved"},
	}
	for _, tt := range tests {
		err := guard(t).Check(tt.host)
		if tt.class == "" {
			if err != nil {
				t.Errorf("Check(%q) = %v, want nil", tt.host, err)
			}
			continue
		}
		var blocked *netguard.BlockedError
		if !errors.As(err, &blocked) || !strings.Contains(blocked.Class, tt.class) {
			t.Errorf("Check(%s) = %v, want %s", tt.host, err, tt.class)
		}
	}
}

func TestCheck_allowList(t *testing.T) {
	t.Parallel()
	tests := []struct {
		allow, host string
		passes      bool
	}{
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.1.2.99/8", "10.200.2.3", true},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"10.0.0.0/8", "11.1.2.3", true},
		{"10.0.0.0/8", "192.168.1.1", false},
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.3", "10.1.2.4", false},
		{"localhost", "LocalHost", true},
		{"localhost", "127.0.0.1", false},
		{"127.0.0.0/8", "localhost", true},
		{"[::1]", "::1", true},
		{"::/0", "::1", true},
		{"::/0", "fe80::1", false},
		{"::/0", "fd00:ec2::254", false},
		{"0.0.0.0/0", "127.0.0.1", true},
		{"0.0.0.0/0", "169.254.169.254", false},
		{"0.0.0.0/0", "100.100.100.200", false},
		{"::/0", "::ffff:169.254.169.254", false},
	}
	for _, tt := range tests {
		if err := guard(t, tt.allow).Check(tt.host); (err == nil) != tt.passes {
			t.Errorf("Check(%q) with %s allowed = %v, want success: %t", tt.host, tt.allow, err, tt.passes)
		}
	}
}

func TestNew_invalidEntries(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{
		"", "10.0.0.0/33", "10.0.0.256", "10.0.0", "http://x", "a b", "*.example.com", "x:80", "fe80::1%eth0",
		"169.254.0.0/16", "169.254.169.254", "fe80::/10", "fd00:ec2::254", "::ffff:10.0.0.0/104", "::ffff:169.254.169.254",
	} {
		_, err := netguard.New([]string{"localhost", entry})
		var bad *netguard.EntryError
		if !errors.As(err, &bad) || bad.Index != 1 {
			t.Errorf("New with entry %q: got error %v, want an EntryError with index 1", entry, err)
		}
	}
}

// A name is checked by the address that it resolves to.
func TestDial_resolvedAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	local, meta := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("169.254.169.254")
	ten1, ten2 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	tests := []struct {
		name, host string
		allow      []string
		leadsTo    []netip.Addr
		class      string
	}{
		{name: "a name that leads inside", host: "evil.example", leadsTo: []netip.Addr{local}, class: "loopback"},
		{name: "several that lead inside", host: "evil.example", leadsTo: []netip.Addr{ten1, ten2}, class: "private"},
		{name: "the name is allowed", host: "ok.example", allow: []string{"ok.example"}, leadsTo: []netip.Addr{local}},
		{name: "another name is allowed", host: "evil.example", allow: []string{"ok.example"}, leadsTo: []netip.Addr{local}, class: "loopback"},
		{name: "the network is allowed", host: "ok.example", allow: []string{"127.0.0.0/8"}, leadsTo: []netip.Addr{local}},
		{name: "metadata by an allowed name", host: "ok.example", allow: []string{"ok.example"}, leadsTo: []netip.Addr{meta}, class: "link-local"},
		{name: "an address", host: "127.0.0.1", class: "loopback"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := guard(t, tt.allow...)
			g.Resolver = netguardtest.Resolver(func(string) []netip.Addr { return tt.leadsTo })
			c, err := g.Dial(t.Context(), 5*time.Second, "tcp", net.JoinHostPort(tt.host, port))
			if tt.class == "" {
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
				return
			}
			var blocked *netguard.BlockedError
			if !errors.As(err, &blocked) || !strings.Contains(blocked.Class, tt.class) || blocked.Host != tt.host {
				t.Errorf("err = %v; want %s", err, tt.class)
			}
			if err := g.Resolve(t.Context(), tt.host); !errors.As(err, &blocked) {
				t.Errorf("Resolve(%q) = %v, want a blocked address", tt.host, err)
			}
		})
	}
}
