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
)

var (
	oldKey = strings.Repeat("0a", 32)
	newKey = strings.Repeat("0b", 32)
)

func secretKey(keys ...string) string { return "AGENTAREA_SECRET_KEY=" + strings.Join(keys, ",") }

// TestKeyInTheEnvironmentIsRotated while the server runs and users change secrets:
// with the old key gone everything is still there, and whoever is signed in by the
// new key stays so.
func TestKeyInTheEnvironmentIsRotated(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, on func(*server) *server) {
		s := on(newServer(t, plugins("http://127.0.0.1:1/v1")+mcpHTTP))
		plain := s.env
		s.env = append(plain, secretKey(oldKey))
		s.start()
		c := s.signIn()
		url := guardedMCP(t, "Bearer of-the-mcp-server")
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
		c.get("/v1/auth/me").want(t, 200) // signed in by the old key
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
		for range 5 {
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
			t.Errorf("%s", out)
		}
		s.terminate()
		<-s.exited
		s.env = append(plain, secretKey(newKey))
		s.restart()
		c.get("/v1/auth/me").want(t, 401)
		fresh.get("/v1/auth/me").want(t, 200)
		for _, m := range servers {
			fresh.awaitMCP(m.ID, "it runs with its secret", running)
		}
	})
}

// TestKeyInTheFileIsRotated: killed again and again, it ends with one new key that
// opens everything.
func TestKeyInTheFileIsRotated(t *testing.T) {
	t.Parallel()
	s := newServer(t, plugins("http://127.0.0.1:1/v1")+mcpHTTP)
	s.start()
	c := s.signIn()
	l := live(t, c)
	path := filepath.Join(s.dir, "data", "secret.key")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.refused("only while no server uses it", "secrets", "rotate")
	s.terminate()
	<-s.exited
	for range 8 {
		p := runFrom(t, s.bin, s.dir, s.env, "secrets", "rotate", "--keep-old")
		select {
		case <-p.exited:
		case <-time.After(time.Duration(rand.Int64N(int64(200 * time.Millisecond)))):
			p.kill()
		}
	}
	for range 2 { // the first ends what was cut, if something was
		s.must("secrets", "rotate")
	}
	after, err := os.ReadFile(path)
	if err != nil || len(strings.Fields(string(after))) != 1 || strings.Contains(string(after), strings.TrimSpace(string(before))) {
		t.Errorf("%d bytes, %v", len(after), err)
	}
	s.restart()
	c.get("/v1/auth/me").want(t, 401)
	l.want(t, s)
}

// TestAnotherKey: a server says at its start what its key does not open, and changes
// nothing of it; a file that others may read is refused.
func TestAnotherKey(t *testing.T) {
	t.Parallel()
	s := newServer(t, plugins("http://127.0.0.1:1/v1")+mcpHTTP)
	plain := s.env
	s.env = append(plain, secretKey(oldKey))
	s.start()
	c := s.signIn()
	m := c.newMCPServer("guarded", object{"url": guardedMCP(t, "Bearer x-y-z"), "headers": object{"Authorization": "Bearer x-y-z"}})
	c.awaitMCP(m.ID, "it runs", running)
	s.terminate()
	<-s.exited
	s.env = append(plain, secretKey(newKey))
	s.restart()
	if log := s.stderr.String(); !strings.Contains(log, "secrets cannot be decrypted") || !strings.Contains(log, `MCP server \"guarded\"`) && !strings.Contains(log, `MCP server \\\"guarded\\\"`) {
		t.Errorf("the log says %s", log)
	}
	c = s.signIn()
	if got := c.mcpServer(m.ID); got.Status != "error" || !strings.Contains(got.LastError, "another key") {
		t.Errorf("%+v", got)
	}
	c.do("PATCH", "/v1/mcp-servers/"+m.ID, object{"description": "x"}).want(t, 400)
	s.terminate()
	<-s.exited
	s.env = append(plain, secretKey(newKey, oldKey))
	s.restart()
	c.awaitMCP(m.ID, "it runs again", running)

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
	other.refused("chmod 600 "+path, "serve", "--listen", "127.0.0.1:0")
}
