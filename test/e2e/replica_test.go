package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/pgtest"
	"github.com/agentarea/agentarea/test/testenv"
)

// roundRobin starts a proxy that sends each request to the next running server, and returns its URL.
// The proxy does not retry.
func roundRobin(t *testing.T, servers ...*server) string {
	t.Helper()
	var next atomic.Int64
	proxies := make([]*httputil.ReverseProxy, len(servers))
	for i, s := range servers {
		u, err := url.Parse(s.url)
		if err != nil {
			t.Fatal(err)
		}
		proxies[i] = httputil.NewSingleHostReverseProxy(u)
		proxies[i].FlushInterval = -1
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range servers {
			i := int(next.Add(1)) % len(servers)
			if alive(servers[i].cmd.Process.Pid) {
				proxies[i].ServeHTTP(w, r)
				return
			}
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// newServers returns two servers with the same database, secret key and plugins.hcl that do not run yet.
func newServers(t *testing.T, plugins string, env ...string) (a, b *server) {
	t.Helper()
	db := pgtest.Start(t)
	key := "AGENTAREA_SECRET_KEY=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	var both [2]*server
	for i := range both {
		both[i] = newServer(t, plugins).at(db)
		both[i].env = append(append(both[i].env, key), env...)
	}
	return both[0], both[1]
}

// twoServers starts two servers with the same database and secret key.
func twoServers(t *testing.T, env ...string) (a, b *server) {
	t.Helper()
	a, b = newServers(t, "", env...)
	var wg sync.WaitGroup
	wg.Go(a.start)
	wg.Go(b.start)
	wg.Wait()
	return a, b
}

// Two servers behave as one.
func TestReplicas(t *testing.T) {
	t.Parallel()
	a, b := twoServers(t)
	one := a.signIn()
	two := &client{t: t, url: b.url, token: one.token}
	agent := one.newAgent("echo")
	two.chat(agent, "s", "Hello")

	// The run of a stream on one server is watched and cancelled on the other.
	stream := one.startTurn(agent, "t", "/tokens 10000 /delay 10ms")
	stream.readTokens(5)
	watcher := two.runEvents(stream.first().RunID, 0)
	watcher.readTokens(5)
	two.post("/v1/agents/"+agent+"/chat", object{"message": "Hi", "session_id": "t"}).want(t, 409)
	two.post("/v1/runs/"+stream.first().RunID+"/cancel", nil).want(t, 200)
	if end := stream.readAll(); end.Metadata.Status != "cancelled" {
		t.Errorf("the stream ends with %s, want cancelled", end.data)
	}
	if end := watcher.readAll(); end.Metadata.Status != "cancelled" {
		t.Errorf("the watcher's stream ends with %s, want cancelled", end.data)
	}

	// A task is created on one server and watched on the other.
	w := two.dialWebSocket()
	w.subscribe("tasks")
	made := one.newTask(agent, "Hello")
	for _, want := range []string{"pending", "running", "completed"} {
		if m := w.receive(); m.TaskID != made.ID || m.Status != want {
			t.Errorf("got %s, want status %s", m.raw, want)
		}
	}

	// An idempotency key holds on both.
	body := taskBody(agent, "Once")
	first := decode[task](t, one.do("POST", "/v1/tasks/", body, "Idempotency-Key: k").want(t, 201))
	if again := decode[task](t,
		two.do("POST", "/v1/tasks/", body, "Idempotency-Key: k").want(t, 201)); again.ID != first.ID {
		t.Errorf("the same key creates %s and %s", first.ID, again.ID)
	}

	// A logout ends the login on both.
	one.post("/v1/auth/logout", nil).want(t, 204)
	eventually(t, "the logout on the other server", func() bool {
		return two.get("/v1/auth/me").status == 401
	})
}

// If one of two servers is killed under load, nothing that was acknowledged is lost, and every run
// and task ends once.
func TestReplicaKilled(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	a, b := twoServers(t)
	c := &client{t: t, url: roundRobin(t, a, b)}
	c.token = a.signIn().token
	agent := c.newAgent("echo")
	var mu sync.Mutex
	var tasks []string
	var messages []string
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				title := fmt.Sprintf("/tokens 20 /delay 5ms of writer %d: %d", w, n)
				if n%2 == 0 {
					if r, err := c.try("POST", "/v1/tasks/", taskBody(agent, title)); err == nil && r.status == 201 {
						mu.Lock()
						tasks = append(tasks, decode[task](t, r).ID)
						mu.Unlock()
					}
					continue
				}
				r, err := c.try("POST", "/v1/agents/"+agent+"/chat", object{"message": title, "session_id": sessionName(w)})
				if err == nil && r.status == 200 {
					mu.Lock()
					messages = append(messages, title)
					mu.Unlock()
				}
			}
		})
	}
	acknowledged := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return len(tasks), len(messages)
	}
	eventually(t, "10 tasks and 10 messages", func() bool {
		nt, nm := acknowledged()
		return nt >= 10 && nm >= 10
	})
	a.kill()
	killed := time.Now()
	nt, nm := acknowledged()
	eventually(t, "more tasks and messages", func() bool {
		t, m := acknowledged()
		return t > nt && m > nm
	})
	close(stop)
	wg.Wait()
	for _, id := range tasks {
		if got := c.waitTask(id); got.Status != "completed" || len(c.history(agent, id)) != 2 {
			t.Errorf("got task %+v, want completed with 2 messages", got)
		}
	}
	t.Logf("%d tasks, all ended %s after the kill", len(tasks), time.Since(killed).Round(time.Millisecond))
	var there []string
	for w := range 4 {
		for _, m := range c.history(agent, sessionName(w)) {
			if m.Role == "user" {
				there = append(there, m.Content)
			}
			c.waitRun(m.Metadata.RunID)
		}
	}
	for _, message := range messages {
		if n := count(there, message); n != 1 {
			t.Errorf("%q was acknowledged and exists %d times, want once", message, n)
		}
	}
}
