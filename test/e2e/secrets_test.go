package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

var (
	oldKey = strings.Repeat("0a", 32)
	newKey = strings.Repeat("0b", 32)
)

// secretKey returns the environment variable with the secret keys, the current one first.
func secretKey(keys ...string) string { return "AGENTAREA_SECRET_KEY=" + strings.Join(keys, ",") }

// The key in the environment can be rotated while the server runs and users change secrets. Without
// the old key, all secrets can be decrypted, and logins that were made with the new key are valid.
func TestRotateKeyInEnvironment(t *testing.T) {
	t.Parallel()
	rounds := testenv.Rounds(2, 5)
	onBoth(t, func(t *testing.T, on func(*server) *server) {
		s := on(newServer(t, pluginsHCL("http://127.0.0.1:1/v1")+mcpHTTP))
		plain := s.env
		s.env = append(plain, secretKey(oldKey))
		s.start()
		c := s.signIn()
		url := protectedMCP(t, "Bearer of-the-mcp-server")
		config := object{"url": url, "headers": object{"Authorization": "Bearer of-the-mcp-server"}}
		var servers []mcpServer
		for i := range 5 {
			servers = append(servers, c.newMCPServer(fmt.Sprintf("guarded-%d", i), config))
		}
		both := append(plain, secretKey(newKey, oldKey))
		s.terminate()
		<-s.exited
		s.env = both
		s.restart()
		c.get("/v1/auth/me").want(t, 200) // the login was made with the old key
		fresh := s.signIn()

		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				fresh.do("PATCH", "/v1/mcp-servers/"+servers[i%len(servers)].ID, object{"config": config}).want(t, 200)
			}
		})
		for range rounds {
			p := runFrom(t, s.bin, s.dir, both, "secrets", "rotate")
			select {
			case <-p.exited:
			case <-time.After(time.Duration(rand.Int64N(int64(300 * time.Millisecond)))):
				p.kill()
			}
		}
		close(stop)
		wg.Wait()
		s.must("secrets", "rotate")
		if out := s.must("secrets", "status"); !strings.Contains(out, "current  5") || !strings.Contains(out, "older    0") {
			t.Errorf("secrets status prints %s, want 5 current and 0 older", out)
		}
		s.terminate()
		<-s.exited
		s.env = append(plain, secretKey(newKey))
		s.restart()
		c.get("/v1/auth/me").want(t, 401)
		fresh.get("/v1/auth/me").want(t, 200)
		for _, m := range servers {
			fresh.waitMCPServer(m.ID, "the MCP server to run with its secret", running)
		}
	})
}

// Rotating the key in the file works even if the command is killed several times: in the end there
// is one new key, which decrypts everything.
func TestRotateKeyInFile(t *testing.T) {
	t.Parallel()
	s := newServer(t, pluginsHCL("http://127.0.0.1:1/v1")+mcpHTTP)
	s.start()
	c := s.signIn()
	l := newDataset(t, c)
	path := filepath.Join(s.dir, "data", "secret.key")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.wantFailure("only while no server uses it", "secrets", "rotate")
	s.terminate()
	<-s.exited
	for range testenv.Rounds(3, 8) {
		p := runFrom(t, s.bin, s.dir, s.env, "secrets", "rotate", "--keep-old")
		select {
		case <-p.exited:
		case <-time.After(time.Duration(rand.Int64N(int64(200 * time.Millisecond)))):
			p.kill()
		}
	}
	for range 2 { // the first completes an interrupted rotation
		s.must("secrets", "rotate")
	}
	after, err := os.ReadFile(path)
	if err != nil || len(strings.Fields(string(after))) != 1 ||
		strings.Contains(string(after), strings.TrimSpace(string(before))) {
		t.Errorf("the key file has %d bytes (%v), want one new key", len(after), err)
	}
	s.restart()
	c.get("/v1/auth/me").want(t, 401)
	l.check(t, s)
}

// A server with a wrong key logs which secrets it cannot decrypt, and does not change them. A key
// file that others may read is rejected.
func TestWrongKey(t *testing.T) {
	t.Parallel()
	s := newServer(t, pluginsHCL("http://127.0.0.1:1/v1")+mcpHTTP)
	plain := s.env
	s.env = append(plain, secretKey(oldKey))
	s.start()
	c := s.signIn()
	m := c.newMCPServer("guarded",
		object{"url": protectedMCP(t, "Bearer x-y-z"), "headers": object{"Authorization": "Bearer x-y-z"}})
	c.waitMCPServer(m.ID, "the MCP server to run", running)
	s.terminate()
	<-s.exited
	s.env = append(plain, secretKey(newKey))
	s.restart()
	if log := s.stderr.String(); !strings.Contains(log, "secrets cannot be decrypted") ||
		!strings.Contains(log, `MCP server \"guarded\"`) && !strings.Contains(log, `MCP server \\\"guarded\\\"`) {
		t.Errorf("got log %s, want the name of the MCP server", log)
	}
	c = s.signIn()
	if got := c.mcpServer(m.ID); got.Status != "error" || !strings.Contains(got.LastError, "another key") {
		t.Errorf("got %+v, want an error about another key", got)
	}
	c.do("PATCH", "/v1/mcp-servers/"+m.ID, object{"description": "x"}).want(t, 400)
	s.terminate()
	<-s.exited
	s.env = append(plain, secretKey(newKey, oldKey))
	s.restart()
	c.waitMCPServer(m.ID, "the MCP server to run again", running)

	other := newServer(t, "")
	if err := os.MkdirAll(filepath.Join(other.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(other.dir, "data", "secret.key")
	if err := os.WriteFile(path, []byte(oldKey), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	other.wantFailure("chmod 600 "+path, "serve", "--listen", "127.0.0.1:0")
}
