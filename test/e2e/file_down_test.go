package e2e_test

import (
	"bytes"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

// While a backend is down, what needs it is refused at once and the rest goes on;
// when it is back, nothing is lost and nothing left.
func TestBackendDown(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	kept, gone := c.upload("kept", []byte(strings.Repeat("word ", 200))), c.upload("gone", randomBytes(2, 2000))
	agent := c.newAgent("echo")
	for range 5 { // then the circuit opens
		pid := 0
		eventually(t, "the process", func() bool {
			pid = c.plugin("files", "local").PID
			return pid != 0
		})
		kill(t, pid)
		eventually(t, "its end", func() bool { return c.plugin("files", "local").PID != pid })
	}
	if p := c.plugin("files", "local"); p.State != "failed" {
		t.Fatalf("it is %+v", p)
	}
	refused := func(what string, r *reply, began time.Time) {
		t.Helper()
		within(t, time.Since(began), time.Second, what)
		f := r.want(t, 503).failure(t)
		if f.Code != "SERVICE_UNAVAILABLE" || !strings.Contains(f.Message, `"local"`) || r.header.Get("Retry-After") == "" {
			t.Errorf("%s: %v %s", what, r.header, r.body)
		}
	}
	began := time.Now()
	refused("an upload", c.send(filePart("new", bytes.NewReader(randomBytes(3, 1<<20)))), began)
	began = time.Now()
	refused("a download", c.get("/v1/files/"+kept.ID+"/download"), began)
	began = time.Now()
	refused("a chat", c.post("/v1/agents/"+agent+"/chat", object{"message": "Look:", "file_ids": []string{kept.ID}}), began)
	// What is known of the files is not the backend's.
	if got := c.files(); len(got) != 2 {
		t.Errorf("%+v", got)
	}
	c.do("HEAD", "/v1/files/"+kept.ID+"/download", nil).want(t, 200)
	c.do("PATCH", "/v1/files/"+kept.ID, object{"name": "renamed"}).want(t, 200)
	c.do("DELETE", "/v1/files/"+gone.ID, nil).want(t, 204)
	c.chat(agent, "s", "Hello")

	c.reload()
	again := c.upload("again", randomBytes(4, 4000))
	c.checkDownload(kept)
	// The delete comes again, some time later.
	s.wantObjects("files-local/files", kept.Size, gone.Size, again.Size)
	s.kill()
	s.expirePending()
	s.restart()
	s.waitObjects("files-local/files", kept.Size, again.Size)
	if got := c.files(); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}

// A backend that is frozen is given up in time, and replaced.
func TestBackendFrozen(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	f := c.upload("a", randomBytes(1, 8<<20))
	frozen := c.plugin("files", "local")
	if err := syscall.Kill(frozen.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var wg sync.WaitGroup
	for what, ask := range map[string]func() (*reply, error){
		"a large upload": func() (*reply, error) { return c.tryUpload(filePart("b", bytes.NewReader(randomBytes(2, 64<<20)))) },
		"a small upload": func() (*reply, error) { return c.tryUpload(filePart("b", strings.NewReader("text"))) },
		"a download":     func() (*reply, error) { return c.try("GET", "/v1/files/"+f.ID+"/download", nil) },
	} {
		wg.Go(func() {
			r, err := ask()
			t.Logf("%s: %s", what, time.Since(began).Round(time.Millisecond))
			switch {
			case err != nil || time.Since(began) > 45*time.Second:
				t.Errorf("%s: %v after %s", what, err, time.Since(began))
			case what == "a download" && r.status == 200: // it went on with the next process
				if sha256Hex(r.body) != f.SHA256 {
					t.Errorf("%s gives %d other bytes", what, len(r.body))
				}
			case r.status != 503 || r.failure(t).Code != "SERVICE_UNAVAILABLE":
				t.Errorf("%s: status %d: %s", what, r.status, r.body)
			}
		})
	}
	if got := c.files(); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	wg.Wait()
	eventually(t, "another process", func() bool {
		p := c.plugin("files", "local")
		return p.State == "running" && p.PID != frozen.PID
	})
	c.checkDownload(f)
	c.upload("c", []byte("text"))
	if got := c.files(); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}
