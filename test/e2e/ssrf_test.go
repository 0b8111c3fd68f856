package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
)

// countConnections starts a server at an address, and returns its port and the number of connections to it.
func countConnections(t *testing.T, address string, h http.Handler) (port string, count *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	count = &atomic.Int64{}
	served := &http.Server{Handler: h, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			count.Add(1)
		}
	}}
	go func() { _ = served.Serve(l) }() // returns when it is closed
	t.Cleanup(func() { _ = served.Close() })
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, count
}

const guarded = `
plugin "mcp" "http" {
  command = "mcp-http"
  config {
    allow = ["127.0.0.2"]
  }
}
plugin "mcp" "sse" {
  command = "mcp-sse"
  config {
    allow = ["127.0.0.2"]
  }
}
`

// A user's MCP server cannot be in a private network, however its address is written and whatever it
// redirects to. The package netguard tests names whose addresses change.
func TestPrivateMCPServersAreRejected(t *testing.T) {
	t.Parallel()
	s := start(t, pluginsHCL("http://127.0.0.1:1/v1")+guarded)
	member := s.newUser(s.signIn(), "mia", "member")
	port, inside := countConnections(t, "127.0.0.1", http.NotFoundHandler())
	redirectPort, outside := countConnections(t, "127.0.0.2",
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:"+port+"/mcp", http.StatusTemporaryRedirect)
		}))
	for i, host := range []string{
		"127.0.0.1", "localhost", "LOCALHOST.", "127.1.2.3", "0.0.0.0", "[::1]", "[::]",
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
		"2130706433", "0177.0.0.1", "0x7f.0.0.1", "127.1", "10.0.0.1", "172.16.0.1", "192.168.0.1",
		"100.64.0.1", "169.254.169.254", "[fd00:ec2::254]", "[fe80::1]", "[::ffff:169.254.169.254]",
	} {
		for _, transport := range []string{"http", "sse"} {
			at := fmt.Sprintf("http://%s:%s/mcp", host, port)
			r := member.post("/v1/mcp-servers/",
				object{"name": fmt.Sprintf("s %d %s", i, transport), "transport": transport, "config": object{"url": at}})
			if r.status == 400 {
				if r.failure(t).Details.Issue == "" {
					t.Errorf("%s: got %s, want the reason", at, r.body)
				}
				continue
			}
			made := decode[mcpServer](t, r.want(t, 201))
			got := member.waitMCPServer(made.ID, "the error of "+at, func(s mcpServer) bool { return s.Status == "error" })
			if got.LastError == "" {
				t.Errorf("%s: got no last error", at)
			}
		}
	}
	for _, transport := range []string{"http", "sse"} {
		made := decode[mcpServer](t, member.post("/v1/mcp-servers/", object{
			"name": "redirect " + transport, "transport": transport,
			"config": object{"url": "http://127.0.0.2:" + redirectPort + "/mcp"},
		}).want(t, 201))
		got := member.waitMCPServer(made.ID, "the error of a redirect", func(s mcpServer) bool { return s.Status == "error" })
		t.Logf("%s: %s", transport, got.LastError)
	}
	if outside.Load() == 0 {
		t.Error("the redirecting server got no request")
	}
	if n := inside.Load(); n != 0 {
		t.Errorf("got %d connections to the private address, want none", n)
	}
}
