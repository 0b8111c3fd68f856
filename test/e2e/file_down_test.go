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

// While a file backend is down, requests that need it fail and all others work. When
// it is back, no file is lost and no object is left over.
func TestBackendDown(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	kept, gone := c.upload("kept", []byte(strings.Repeat("word ", 200))), c.upload("gone", randomBytes(2, 2000))
	agent := c.newAgent("echo")
	for range 5 { // the fifth exit within the window stops the restarts
		pid := 0
		eventually(t, "the backend's process", func() bool {
			pid = c.plugin("files", "local").PID
			return pid != 0
		})
		kill(t, pid)
		eventually(t, "the end of the backend's process", func() bool { return c.plugin("files", "local").PID != pid })
	}
	if p := c.plugin("files", "local"); p.State != "failed" {
		t.Fatalf("got plugin %+v, want failed", p)
	}
	wantUnavailable := func(what string, r *reply) {
		t.Helper()
		f := r.want(t, 503).failure(t)
		if f.Code != "SERVICE_UNAVAILABLE" || !strings.Contains(f.Message, "files/local") ||
			r.header.Get("Retry-After") == "" {
			t.Errorf("%s: got %v %s, want SERVICE_UNAVAILABLE with Retry-After", what, r.header, r.body)
		}
	}
	wantUnavailable("an upload", c.send(filePart("new", bytes.NewReader(randomBytes(3, 1<<20)))))
	wantUnavailable("a download", c.get("/v1/files/"+kept.ID+"/download"))
	wantUnavailable("a chat",
		c.post("/v1/agents/"+agent+"/chat", object{"message": "Look:", "file_ids": []string{kept.ID}}))
	// Listing and renaming files does not need the backend.
	if got := c.files(); len(got) != 2 {
		t.Errorf("got files %+v, want 2", got)
	}
	c.do("HEAD", "/v1/files/"+kept.ID+"/download", nil).want(t, 200)
	c.do("PATCH", "/v1/files/"+kept.ID, object{"name": "renamed"}).want(t, 200)
	c.do("DELETE", "/v1/files/"+gone.ID, nil).want(t, 204)
	c.chat(agent, "s", "Hello")

	c.reload()
	again := c.upload("again", randomBytes(4, 4000))
	c.checkDownload(kept)
	// The object of the deleted file is removed later.
	s.wantObjects("files-local/files", kept.Size, gone.Size, again.Size)
	s.kill()
	s.expirePending()
	s.restart()
	s.waitObjects("files-local/files", kept.Size, again.Size)
	if got := c.files(); len(got) != 2 {
		t.Errorf("got files %+v", got)
	}
}

// A backend's process that does not answer is replaced, and requests fail in time.
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
	stopwatch := testenv.StartStopwatch()
	var wg sync.WaitGroup
	for what, ask := range map[string]func() (*reply, error){
		"a large upload": func() (*reply, error) { return c.tryUpload(filePart("b", bytes.NewReader(randomBytes(2, 64<<20)))) },
		"a small upload": func() (*reply, error) { return c.tryUpload(filePart("b", strings.NewReader("text"))) },
		"a download":     func() (*reply, error) { return c.try("GET", "/v1/files/"+f.ID+"/download", nil) },
	} {
		wg.Go(func() {
			r, err := ask()
			switch {
			case err != nil:
				t.Errorf("%s: got no reply: %v", what, err)
			case what == "a download" && r.status == 200: // it continued with the next process
				if sha256Hex(r.body) != f.SHA256 {
					t.Errorf("%s returns %d other bytes", what, len(r.body))
				}
			case r.status != 503 || r.failure(t).Code != "SERVICE_UNAVAILABLE":
				t.Errorf("%s: got status %d, want 503: %s", what, r.status, r.body)
			}
		})
	}
	if got := c.files(); len(got) != 1 {
		t.Errorf("got files %+v", got)
	}
	wg.Wait()
	stopwatch.Check(t, 45*time.Second, "the last reply")
	eventually(t, "another process of the backend", func() bool {
		p := c.plugin("files", "local")
		return p.State == "running" && p.PID != frozen.PID
	})
	c.checkDownload(f)
	c.upload("c", []byte("text"))
	if got := c.files(); len(got) != 2 {
		t.Errorf("got files %+v", got)
	}
}
