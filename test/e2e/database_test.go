package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/pgtest"
	"github.com/agentarea/agentarea/test/testenv"
)

// onBoth runs a test for each database. on makes a server use it.
func onBoth(t *testing.T, test func(t *testing.T, on func(*server) *server)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, func(s *server) *server { return s })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := pgtest.Start(t)
		test(t, func(s *server) *server { return s.at(url) })
	})
}

// at makes a server that does not run yet use a PostgreSQL database.
func (s *server) at(url string) *server {
	s.databaseURL = url
	s.env = append(s.env, "AGENTAREA_DATABASE_URL="+url)
	return s
}

// startAt starts a server on a database.
func startAt(t *testing.T, on func(*server) *server) *server {
	t.Helper()
	s := on(newServer(t, ""))
	s.start()
	return s
}

// While the database is down, the API answers 503. When it is back, everything works and nothing
// that was acknowledged is lost.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	pg := pgtest.Own(t)
	s := newServer(t, "").at(pg.URL)
	s.start()
	c := s.signIn()
	agent := c.newAgent("echo")
	var made []string
	for i := range 30 {
		made = append(made, c.newTask(agent, fmt.Sprintf("/tokens 50 /delay 20ms number %d", i)).ID)
	}
	turn := c.startTurn(agent, "s", "/tokens 300 /delay 10ms")
	turn.readTokens(3)
	testenv.Promise(t, 5*time.Second, "the first task after the database's restart", func(start func()) {
		pg.Kill()
		for range 3 {
			r := c.post("/v1/tasks/", taskBody(agent, "Lost"))
			r.want(t, 503)
			c.get("/v1/tasks/"+made[0]).want(t, 503)
			c.post("/v1/agents/"+agent+"/chat", object{"message": "Hi", "session_id": "x"}).want(t, 503)
			c.get("/health").want(t, 200)
			c.get("/health/ready").want(t, 503)
		}
		if err := pg.Up(); err != nil {
			t.Fatal(err)
		}
		start()
		eventually(t, "the first task after the restart", func() bool {
			r, err := c.try("POST", "/v1/tasks/", taskBody(agent, "After"))
			if err != nil || r.status != 201 {
				return false
			}
			made = append(made, decode[task](t, r).ID)
			return true
		})
	})
	for _, id := range made {
		if got := c.waitTask(id); got.Status != "completed" {
			t.Errorf("got task %+v, want completed", got)
		}
	}
	turn.readAll()
	c.waitRun(turn.first().RunID)
	c.chat(agent, "after", "Hello")
	if n := decode[struct{ Total int }](t, c.get("/v1/tasks/?limit=1").want(t, 200)).Total; n != len(made) {
		t.Errorf("got %d tasks, want the %d that were acknowledged", n, len(made))
	}
}

// A server that starts before its database waits for it, unless it should not.
func TestStartBeforeDatabase(t *testing.T) {
	t.Parallel()
	pg := pgtest.Own(t)
	pg.Kill()
	launch := func(args ...string) *process {
		s := newServer(t, "").at(pg.URL)
		return runFrom(t, s.bin, s.dir, s.env, append([]string{"serve", "--listen=127.0.0.1:0"}, args...)...)
	}
	hasty := launch("--database-wait=0")
	<-hasty.exited
	const reason = "connect to the database postgres://postgres@127.0.0.1:"
	if log := hasty.stderr.String(); !strings.Contains(log, reason) {
		t.Errorf("--database-wait=0: got log %q, want one with %q", log, reason)
	}
	isWaiting := func(p *process) func() bool {
		return func() bool { return strings.Contains(p.stderr.String(), "the database does not accept connections") }
	}
	stopped := launch("--database-wait=1h")
	eventually(t, "the log line of a waiting server", isWaiting(stopped))
	stopped.terminate()
	<-stopped.exited
	patient := launch()
	eventually(t, "the log line of a waiting server", isWaiting(patient))
	if err := pg.Up(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server's banner", func() bool { return strings.Contains(patient.stdout.String(), "Plugins:") })
}

// A server whose database can only be read is not ready, and recovers.
func TestDatabaseReadOnly(t *testing.T) {
	t.Parallel()
	pg := pgtest.Own(t)
	s := newServer(t, "").at(pg.URL)
	s.start()
	c := s.signIn()
	agent := c.newAgent("echo")
	set := func(value string) {
		pg.Execute(t, "ALTER SYSTEM SET default_transaction_read_only = "+value)
		pg.Execute(t, "SELECT pg_reload_conf()")
	}
	set("on")
	eventually(t, "503 of /health/ready", func() bool { return c.get("/health/ready").status == 503 })
	if body := string(c.get("/health/ready").want(t, 503).body); !strings.Contains(body, "The database is read-only") {
		t.Errorf("got %s, want the reason", body)
	}
	c.post("/v1/tasks/", taskBody(agent, "Lost")).want(t, 503)
	c.get("/v1/agents/"+agent).want(t, 200)
	set("off")
	s.waitReady()
	c.post("/v1/tasks/", taskBody(agent, "Kept")).want(t, 201)
}

// A server that is stopped while tasks run returns them to the queue, and the next server
// completes them.
func TestStopWithRunningTasks(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, on func(*server) *server) {
		s := startAt(t, on)
		c := s.signIn()
		agent := c.newAgent("echo")
		var made []string
		for i := range 20 {
			made = append(made, c.newTask(agent, fmt.Sprintf("/tokens 400 /delay 10ms number %d", i)).ID)
		}
		eventually(t, "a running task", func() bool {
			return slices.ContainsFunc(made, func(id string) bool { return c.task(id).Status == "running" })
		})
		s.terminate()
		<-s.exited
		s.restart()
		for _, id := range made {
			if got := c.waitTask(id); got.Status != "completed" || got.Usage.OutputTokens != 400 {
				t.Errorf("got task %+v, want completed with 400 tokens", got)
			}
		}
	})
}
