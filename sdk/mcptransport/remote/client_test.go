package remote

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/netguard/netguardtest"
)

func open(t *testing.T, w *Web, url string) *Client {
	t.Helper()
	c, err := w.Open(mcptransport.Open{
		Config: []byte(`{"url":"` + url + `","headers":{"Authorization":"Bearer secret"}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// get sends a request and returns the body of the response or the error.
func get(t *testing.T, c *Client) string {
	t.Helper()
	resp, err := c.Do(t.Context(), Request{Method: http.MethodGet})
	if err != nil {
		return sdk.AsError(err).Message
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

// The client trusts the certificates of ca_file in addition to those of the system.
func TestDo_certificates(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(hello))
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	trusting := settings("127.0.0.1", "localhost")
	trusting.CAFile = file
	plain := strings.Replace(s.URL, "https:", "http:", 1)
	other := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	tests := []struct {
		settings Settings
		url      string
		want     string
	}{
		{trusting, s.URL, "hello"},
		{trusting, other, "has a certificate for another host"},
		{settings("127.0.0.1"), s.URL, "an administrator can add the authority with ca_file"},
		{settings("127.0.0.1"), plain, "HTTP request to an HTTPS server"},
	}
	for _, tt := range tests {
		if got := get(t, open(t, web(t, tt.settings), tt.url)); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s; want %s", tt.url, got, tt.want)
		}
	}
	http1 := httptest.NewServer(http.HandlerFunc(hello))
	t.Cleanup(http1.Close)
	c := open(t, web(t, settings("127.0.0.1")), strings.Replace(http1.URL, "http:", "https:", 1)+"/?key=secret")
	if got := get(t, c); !strings.Contains(got, "cannot be reached") || strings.Contains(got, "secret") {
		t.Errorf("TLS to a plain server: got %q, want an error without the secret", got)
	}
}

// The proxy may have any address, but the target of a request must be allowed.
func TestDo_proxy(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "by proxy to "+r.URL.Host)
	}))
	t.Cleanup(proxy.Close)
	to, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	w := web(t, settings("10.0.0.0/8"))
	w.proxy = http.ProxyURL(to)
	w.guard.Resolver = netguardtest.Resolver(func(name string) []netip.Addr {
		if name == "inside.example" {
			return []netip.Addr{netip.MustParseAddr("192.168.0.1")}
		}
		return nil
	})
	tests := []struct{ host, want string }{
		{"10.1.2.3", "by proxy to 10.1.2.3"},
		{"unknown.example", "by proxy to unknown.example"}, // the proxy may be able to resolve it
		{"inside.example", "inside.example resolves to a private address"},
	}
	for _, tt := range tests {
		if got := get(t, open(t, w, "http://"+tt.host+"/mcp")); !strings.Contains(got, tt.want) {
			t.Errorf("GET from %s = %q, want %q", tt.host, got, tt.want)
		}
	}
	direct := web(t, settings())
	if err := direct.CheckConfig(t.Context(), []byte(`{"url":"`+proxy.URL+`"}`)); err == nil {
		t.Error("the request to an address that is not allowed succeeded")
	}
}

// A name is checked each time it is dialed, also for a redirect.
func TestDo_addressOfNameChanges(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	for inside, class := range map[string]string{
		"10.0.0.1": "a private address", "169.254.169.254": "a link-local address", "0.0.0.0": "an unspecified address",
	} {
		var requests atomic.Int32
		w := web(t, settings("127.0.0.1"))
		w.guard.Resolver = netguardtest.Resolver(func(string) []netip.Addr {
			if requests.Add(1) == 1 {
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
			}
			return []netip.Addr{netip.MustParseAddr(inside)}
		})
		got := get(t, open(t, w, "http://rebind.example:"+port+"/"))
		if !strings.Contains(got, "rebind.example resolves to "+class) || requests.Load() != 2 {
			t.Errorf("host that resolves to %s: got %q after %d lookups, want a refusal at the second",
				inside, got, requests.Load())
		}
	}
}

func TestDo_unknownHost(t *testing.T) {
	t.Parallel()
	w := web(t, settings())
	w.guard.Resolver = netguardtest.Resolver(func(string) []netip.Addr { return nil })
	if got := get(t, open(t, w, "https://nobody.example/?key=secret")); !strings.Contains(got,
		"nobody.example cannot be found") || strings.Contains(got, "secret") {
		t.Errorf("GET from an unknown host = %q, want an error without the secret", got)
	}
}
