package e2e_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/pgtest"
	"github.com/agentarea/agentarea/test/testenv"
)

// Behind each documented proxy, no request fails while three replicas restart one after the other. After kill -9 of a
// replica, only requests fail that were in flight.
func TestRollingRestart(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	for name, start := range map[string]func(t *testing.T, servers []*server) (url string){
		"nginx": startNginx, "Caddy": startCaddy,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers := startReplicas(t, 3)
			c := servers[0].signIn()
			c.url = start(t, servers)
			rollingRestart(t, c, servers)
		})
	}
}

func rollingRestart(t *testing.T, c *client, servers []*server) {
	t.Helper()
	l := startRollingLoad(c)
	defer l.stop()
	for _, s := range servers {
		s.waitProxied()
	}
	// These streams outlive the time that a stop gives to runs, and continue on another replica.
	var long sync.WaitGroup
	for range servers {
		long.Go(func() { l.stream("/tokens 450 /delay 100ms", 450) })
	}
	for _, s := range servers {
		l.await("requests before the restart")
		s.terminate()
		if code := s.exitCode(t); code != 0 {
			t.Errorf("got exit code %d, want 0", code)
		}
		s.restart()
		s.waitProxied()
	}
	long.Wait()
	if failed := l.failures(); len(failed) > 0 {
		t.Errorf("%d of %d requests failed during the rolling restart:\n%s",
			len(failed), l.total(), strings.Join(failed, "\n"))
	}
	t.Logf("%d requests during the rolling restart", l.total())

	l.await("requests before the kill")
	servers[0].kill()
	killed := time.Now()
	l.await("requests after the kill")
	l.stop() // streams of the killed replica continue on another one
	for _, f := range l.failed {
		if f.began.After(killed) {
			t.Errorf("a request that began %s after the kill failed: %s", f.began.Sub(killed), f.reason)
		}
	}
	t.Logf("%d requests in total; %d were in flight during the kill and failed", l.total(), len(l.failed))
}

// chatPlugins is a plugins.hcl that starts quickly.
const chatPlugins = `
plugin "llm" "echo" {
  command = "llm-echo"
}
plugin "agent" "chat" {
  command = "agent-chat"
}
`

// startReplicas starts servers with one database and secret key, and the default drain delay.
func startReplicas(t *testing.T, n int) []*server {
	t.Helper()
	db := pgtest.Start(t)
	servers := make([]*server, n)
	var started sync.WaitGroup
	for i := range servers {
		s := newServer(t, chatPlugins).at(db)
		s.env = append(s.env, "AGENTAREA_SECRET_KEY="+strings.Repeat("5e", 32), "AGENTAREA_DRAIN_DELAY=5s")
		servers[i] = s
		started.Go(s.start)
	}
	started.Wait()
	return servers
}

// waitProxied waits until the proxy sends requests to a server that has just started.
func (s *server) waitProxied() {
	s.t.Helper()
	eventually(s.t, "requests through the proxy to "+s.url, func() bool {
		r, err := s.anonymous().try("GET", "/metrics", nil)
		return err == nil && strings.Contains(string(r.body),
			`http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="200",http_route="/v1/agents/{agent_id}/chat"}`)
	})
}

// rollingLoad sends requests of several kinds through a proxy, and never repeats one. An interrupted stream is resumed.
type rollingLoad struct {
	c       *client
	agent   string
	ended   chan struct{}
	once    sync.Once
	workers sync.WaitGroup

	mu     sync.Mutex
	done   map[string]int
	failed []failedRequest
	count  int
}

type failedRequest struct {
	began  time.Time
	reason string
}

func startRollingLoad(c *client) *rollingLoad {
	l := &rollingLoad{c: c, agent: c.newAgent("echo"), ended: make(chan struct{}), done: map[string]int{}}
	for range 2 {
		l.loop("chats", func() {
			l.send("POST", "/v1/agents/"+l.agent+"/chat", object{"message": "/tokens 3 /delay 10ms"}, 200)
		})
		l.loop("streams", func() { l.stream("/tokens 20 /delay 20ms", 20) })
	}
	l.loop("lists", func() { l.send("GET", "/v1/agents/?limit=5", nil, 200) })
	l.loop("tasks", func() { l.send("POST", "/v1/tasks/", taskBody(l.agent, "Hello"), 201) })
	return l
}

// loop calls do again and again until stop.
func (l *rollingLoad) loop(kind string, do func()) {
	l.workers.Go(func() {
		for {
			select {
			case <-l.ended:
				return
			case <-time.After(10 * time.Millisecond): // leaves CPU to the servers
			}
			do()
			l.mu.Lock()
			l.done[kind]++
			l.mu.Unlock()
		}
	})
}

// stop ends the load and waits for its last requests.
func (l *rollingLoad) stop() {
	l.once.Do(func() { close(l.ended) })
	l.workers.Wait()
}

// await waits for ten more requests of each kind.
func (l *rollingLoad) await(what string) {
	l.c.t.Helper()
	l.mu.Lock()
	before := map[string]int{}
	for kind, n := range l.done {
		before[kind] = n
	}
	l.mu.Unlock()
	eventually(l.c.t, what, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, kind := range []string{"chats", "streams", "lists", "tasks"} {
			if l.done[kind] < before[kind]+10 {
				return false
			}
		}
		return true
	})
}

func (l *rollingLoad) fail(began time.Time, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, failedRequest{began, fmt.Sprintf(format, args...)})
}

func (l *rollingLoad) failures() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, f := range l.failed {
		all = append(all, f.began.Format(time.TimeOnly)+" "+f.reason)
	}
	return all
}

func (l *rollingLoad) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func (l *rollingLoad) begin() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	return time.Now()
}

// send sends a request, which fails unless it is answered with the status.
func (l *rollingLoad) send(method, path string, body any, status int) {
	began := l.begin()
	switch r, err := l.c.try(method, path, body); {
	case err != nil:
		l.fail(began, "%s %s: %v", method, path, err)
	case r.status != status:
		l.fail(began, "%s %s: status %d: %.300s", method, path, r.status, r.body)
	}
}

// stream reads a streamed turn with that many tokens. If it is interrupted, it resumes after the last event.
func (l *rollingLoad) stream(text string, tokens int) {
	began := l.begin()
	s, refused, err := l.c.tryStream("POST", "/v1/agents/"+l.agent+"/chat", object{"message": text, "stream": true})
	var seen []event
	run, last := "", int64(0)
	for {
		if err != nil || refused != nil {
			l.fail(began, "stream after event %d: %v %+v", last, err, refused)
			return
		}
		s.readAll()
		s.close()
		seen = append(seen, s.seen...)
		if len(seen) == 0 {
			l.fail(began, "the stream ends before its first event: %v", s.err)
			return
		}
		run, last = seen[0].RunID, seen[len(seen)-1].ID
		if seen[len(seen)-1].Type == "end" || seen[len(seen)-1].Type == "error" {
			break
		}
		began = l.begin()
		s, refused, err = l.c.tryStream("GET", "/v1/runs/"+run+"/events", nil,
			"Last-Event-ID: "+strconv.FormatInt(last, 10))
	}
	for i := 1; i < len(seen); i++ { // the ids of another attempt leave a gap
		if seen[i].ID <= seen[i-1].ID {
			l.fail(began, "%s: event %d comes after event %d", run, seen[i].ID, seen[i-1].ID)
			return
		}
	}
	if got := len(strings.Fields(messageText(seen))); got != tokens || seen[len(seen)-1].Type != "end" {
		l.fail(began, "%s: got %d tokens, want %d, and at the end %s", run, got, tokens, seen[len(seen)-1].data)
	}
}

// proxyConfig returns the text of a file in deploy/ for these servers. Each key of replace must occur exactly once.
func proxyConfig(t *testing.T, name string, servers []*server, replace map[string]string) string {
	t.Helper()
	root, err := testenv.Root()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i, s := range servers {
		replace[fmt.Sprintf("10.0.0.%d:8000", i+1)] = strings.TrimPrefix(s.url, "http://")
	}
	for from, to := range replace {
		if n := strings.Count(text, from); n != 1 {
			t.Fatalf("deploy/%s contains %q %d times, want once", name, from, n)
		}
		text = strings.Replace(text, from, to, 1)
	}
	return text
}

// startProxy starts a proxy that listens on address and hides the metrics, and returns its URL. The signal stops it.
func startProxy(t *testing.T, address string, stop os.Signal, cmd *exec.Cmd) string {
	t.Helper()
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(stop)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("output of %v:\n%s", cmd.Args, out.tail())
		}
	})
	c := &client{t: t, url: "http://" + address}
	eventually(t, "the proxy", func() bool {
		r, err := c.try("GET", "/health/ready", nil)
		return err == nil && r.status == 200
	})
	c.get("/metrics").want(t, 404)
	return c.url
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// program returns the path of a program of a Debian package. Without it, the test is skipped.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		testenv.Missing(t, name, err)
	}
	return path
}

func startNginx(t *testing.T, servers []*server) string {
	nginx, dir, address := program(t, "nginx"), t.TempDir(), freeAddress(t)
	site := proxyConfig(t, "nginx.conf", servers, map[string]string{
		"listen 443 ssl;":                          "listen " + address + ";",
		"ssl_certificate     /etc/ssl/agents.crt;": "",
		"ssl_certificate_key /etc/ssl/agents.key;": "",
	})
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n"
	}
	config := user + "daemon off;\npid " + dir + "/pid;\nerror_log stderr;\nworker_processes 2;\n" +
		"events { worker_connections 1024; }\nhttp {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		config += kind + "_temp_path " + dir + "/" + kind + ";\n"
	}
	return startProxy(t, address, syscall.SIGTERM, // its workers end, too
		exec.Command(nginx, "-p", dir, "-c", writeFile(t, dir, "nginx.conf", config+site+"}\n")))
}

func startCaddy(t *testing.T, servers []*server) string {
	caddy, dir, address := program(t, "caddy"), t.TempDir(), freeAddress(t)
	site := proxyConfig(t, "Caddyfile", servers, map[string]string{"agents.example.com {": "http://" + address + " {"})
	file := writeFile(t, dir, "Caddyfile", "{\n\tadmin off\n}\n"+site)
	cmd := exec.Command(caddy, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return startProxy(t, address, os.Kill, cmd)
}

// writeFile writes a file and returns its path.
func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
