package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

// twoBackends returns a plugins.hcl with llm-echo and two file backends. New files go to the
// backend active.
func twoBackends(active string) string {
	return fmt.Sprintf(`
file_backend = %q

plugin "llm" "echo" {
  command = "llm-echo"
}

plugin "agent" "chat" {
  command = "agent-chat"
}

plugin "files" "one" {
  command = "files-local"
  config {
    path = "here"
  }
}

plugin "files" "two" {
  command = "files-local"
  config {
    path = "there"
  }
}
`, active)
}

// The folders of the two backends, relative to the data folder of the plugins.
const folderOne, folderTwo = "files-one/here", "files-two/there"

// reloaded is the reply to a reload of plugins.hcl.
type reloaded struct {
	Generation        int
	Kept              []string
	Started, Replaced []string
	FileBackend       string `json:"file_backend"`
}

func (c *client) reload() reloaded {
	c.t.Helper()
	return decode[reloaded](c.t, c.post("/v1/plugins/reload", nil).want(c.t, 200))
}

// Changing file_backend in plugins.hcl sends new files to another backend. Old files stay readable
// where they are.
func TestBackendSwapped(t *testing.T) {
	t.Parallel()
	s := start(t, twoBackends("one"))
	c := s.signIn()
	first := c.upload("first", randomBytes(1, 1000))
	before := c.plugins()
	s.writePlugins(twoBackends("two"))
	if r := c.reload(); r.FileBackend != "two" || len(r.Kept) != len(before) || r.Generation != 2 {
		t.Errorf("the reload returns %+v", r)
	}
	for i, p := range c.plugins() {
		if p.PID != before[i].PID {
			t.Errorf("%s has another process, but its block has not changed", p.Label)
		}
	}
	second := c.upload("second", randomBytes(2, 2000))
	s.wantObjects(folderOne, 1000)
	s.wantObjects(folderTwo, 2000)

	s.writePlugins(twoBackends("one"))
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log line of the reload", func() bool { return strings.Contains(s.stderr.String(), "generation=3") })
	third := c.upload("third", randomBytes(3, 3000))
	s.wantObjects(folderOne, 1000, 3000)

	// An invalid file changes nothing, and the error names the line.
	for broken, words := range map[string][]string{
		twoBackends("three"): {"plugins.hcl:2,", "three", "one, two"},
		strings.Replace(twoBackends("two"), "path", "pth", 1):             {"plugins.hcl:15,5", "pth", "path"},
		twoBackends("two") + "plugin \"files\" {":                         {"plugins.hcl:25,"},
		strings.Replace(twoBackends("two"), `"there"`, `"/proc/none"`, 1): {"plugins.hcl:22,", "/proc/none"},
	} {
		s.writePlugins(broken)
		r := c.post("/v1/plugins/reload", nil).want(t, 400)
		for _, word := range words {
			if !strings.Contains(string(r.body), word) {
				t.Errorf("got %s, want %q", r.body, word)
			}
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log line of the failed reload", func() bool {
		return strings.Count(s.stderr.String(), "reloading plugins failed") == 5
	})
	fourth := c.upload("fourth", randomBytes(4, 4000))
	s.wantObjects(folderOne, 1000, 3000, 4000)
	for _, f := range []file{first, second, third, fourth} {
		c.checkDownload(f)
	}
	// Without its block, the files of a backend are unavailable. All others work. That needs confirmation.
	text := twoBackends("one")
	s.writePlugins(text[:strings.Index(text, `plugin "files" "two"`)])
	if f := c.post("/v1/plugins/reload", nil).want(t, 409).failure(t); !strings.Contains(f.Message,
		`Plugin files/two is in use by 1 stored file ("second")`) {
		t.Errorf("got error %+v, want the stored file", f)
	}
	c.checkDownload(second)
	c.post("/v1/plugins/reload?force=true", nil).want(t, 200)
	if f := c.get("/v1/files/"+second.ID+"/download").want(t, 503).failure(t); !strings.Contains(f.Message, `"two"`) {
		t.Errorf("got error %+v, want the backend's name", f)
	}
	c.checkDownload(first)
	s.writePlugins(text)
	c.reload()
	c.checkDownload(second)
}

// No request fails during a reload, even if it replaces the backend's process.
func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, twoBackends("one"))
	c := s.signIn()
	load := c.load(1 << 20)
	for i := range testenv.Rounds(8, 40) {
		text := twoBackends([]string{"one", "two"}[i%2])
		if i%4 > 1 {
			text = strings.ReplaceAll(text, `command = "files-local"`, "command = \"files-local\"\n  env = { A = \"1\" }")
		}
		s.writePlugins(text)
		if r := c.reload(); i > 0 && r.Generation != i+1 || i%4 == 2 && len(r.Replaced) != 2 {
			t.Errorf("reload %d: %+v", i, r)
		}
		n := load.n.Load()
		eventually(t, "more requests", func() bool { return load.n.Load() > n+3 })
	}
	load.end()
	one, _ := s.objects(folderOne)
	two, _ := s.objects(folderTwo)
	t.Logf("%d requests; %d and %d files", load.n.Load(), len(one), len(two))
	if len(one) == 0 || len(two) == 0 || len(one)+len(two) != len(c.files()) {
		t.Errorf("got %d and %d objects, want some of each and %d in total", len(one), len(two), len(c.files()))
	}
	for _, f := range c.files() {
		c.checkDownload(f)
	}
}

// load sends uploads, downloads and lists until end is called. None of them may fail.
type load struct {
	stop chan struct{}
	wg   sync.WaitGroup
	n    atomic.Int64
	// down is true while the server is down and requests may fail.
	down atomic.Bool
}

// load starts sending requests, with files of up to size bytes.
func (c *client) load(size int) *load {
	c.t.Helper()
	l := &load{stop: make(chan struct{})}
	old := c.upload("old", randomBytes(1<<20, size))
	l.repeat(func(n int) {
		data := randomBytes(uint64(n), size/(n%7+1))
		r, err := c.tryUpload(filePart("new", &slowReader{content: bytes.NewReader(data), pause: time.Millisecond}))
		l.check(c, "upload", r, err, http.StatusCreated)
		if err == nil && r.status == 201 && decode[file](c.t, r).SHA256 != sha256Hex(data) {
			c.t.Errorf("the upload has another checksum: %s", r.body)
		}
	})
	l.repeat(func(int) {
		r, err := c.try("GET", "/v1/files/"+old.ID+"/download", nil)
		l.check(c, "download", r, err, http.StatusOK)
		if err == nil && r.status == 200 && sha256Hex(r.body) != old.SHA256 {
			c.t.Errorf("the download has %d other bytes", len(r.body))
		}
	})
	l.repeat(func(int) {
		r, err := c.try("GET", "/v1/files/?limit=5", nil)
		l.check(c, "list", r, err, http.StatusOK)
		time.Sleep(5 * time.Millisecond)
	})
	return l
}

func (l *load) check(c *client, what string, r *reply, err error, status int) {
	switch {
	case l.down.Load():
		time.Sleep(10 * time.Millisecond)
	case err != nil:
		c.t.Errorf("%s: %v", what, err)
	case r.status != status:
		c.t.Errorf("%s: got status %d, want %d: %s", what, r.status, status, r.body)
	}
}

func (l *load) repeat(request func(n int)) {
	l.wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-l.stop:
				return
			default:
				request(n)
				l.n.Add(1)
			}
		}
	})
}

func (l *load) end() {
	close(l.stop)
	l.wg.Wait()
}
