package limit

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestSetClientAddr(t *testing.T) {
	t.Parallel()
	trusted := Proxies{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("127.0.0.1/32"),
	}
	for name, c := range map[string]struct {
		peer   string
		header []string
		want   string
	}{
		"no header":                       {"10.0.0.1:1234", nil, "10.0.0.1:1234"},
		"empty header":                    {"10.0.0.1:1234", []string{""}, "10.0.0.1:1234"},
		"a trusted proxy":                 {"10.0.0.1:1234", []string{"203.0.113.7"}, "203.0.113.7:0"},
		"an untrusted peer":               {"203.0.113.1:1234", []string{"198.51.100.9"}, "203.0.113.1:1234"},
		"a peer beside a trusted network": {"127.0.0.2:1234", []string{"198.51.100.9"}, "127.0.0.2:1234"},
		"forged by the client":            {"10.0.0.1:1234", []string{"198.51.100.9, 203.0.113.7"}, "203.0.113.7:0"},
		"forged as a trusted proxy":       {"10.0.0.1:1234", []string{"10.9.9.9, 203.0.113.7"}, "203.0.113.7:0"},
		"forged nonsense":                 {"10.0.0.1:1234", []string{"<script>, 203.0.113.7"}, "203.0.113.7:0"},
		"a chain of proxies":              {"10.0.0.1:1234", []string{"198.51.100.9, 203.0.113.7, 10.0.0.3,10.0.0.2"}, "203.0.113.7:0"},
		"several lines are one list":      {"10.0.0.1:1234", []string{"198.51.100.9, 203.0.113.7", "10.0.0.2"}, "203.0.113.7:0"},
		"all are trusted":                 {"10.0.0.1:1234", []string{"10.0.0.9, 10.0.0.2"}, "10.0.0.9:0"},
		"malformed":                       {"10.0.0.1:1234", []string{"203.0.113.7, unknown"}, "10.0.0.1:1234"},
		"malformed before a trusted":      {"10.0.0.1:1234", []string{"300.1.1.1, 10.0.0.2"}, "10.0.0.1:1234"},
		"a zone":                          {"10.0.0.1:1234", []string{"fe80::1%eth0"}, "10.0.0.1:1234"},
		"empty elements":                  {"10.0.0.1:1234", []string{"203.0.113.7, ,", ""}, "203.0.113.7:0"},
		"with a port":                     {"10.0.0.1:1234", []string{"203.0.113.7:55555"}, "203.0.113.7:0"},
		"IPv6 with a port":                {"10.0.0.1:1234", []string{"[2001:db8::7]:55555"}, "[2001:db8::7]:0"},
		"IPv6":                            {"[fd00::1]:1234", []string{"2001:db8::7"}, "[2001:db8::7]:0"},
		"mapped IPv4":                     {"[::ffff:10.0.0.1]:1234", []string{"::ffff:203.0.113.7"}, "203.0.113.7:0"},
		"a peer without an address":       {"@", []string{"203.0.113.7"}, "@"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr, r.Header["X-Forwarded-For"] = c.peer, c.header
			trusted.SetClientAddr(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.RemoteAddr != c.want {
					t.Errorf("RemoteAddr = %s, want %s", r.RemoteAddr, c.want)
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
		})
	}
}
