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

// folders is a plugins.hcl with the echo, and two folders for files, of which
// one takes the new ones.
func twoBackends(takes string) string {
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
`, takes)
}

const folderOne, folderTwo = "files-one/here", "files-two/there"

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

// One word in plugins.hcl swaps the backend: new files go to the new one, old
// ones are read where they are.
func TestBackendSwapped(t *testing.T) {
	t.Parallel()
	s := start(t, twoBackends("one"))
	c := s.signIn()
	first := c.upload("first", randomBytes(1, 1000))
	before := c.plugins()
	s.writePlugins(twoBackends("two"))
	if r := c.reload(); r.FileBackend != "two" || len(r.Kept) != len(before) || r.Generation != 2 {
		t.Errorf("%+v", r)
	}
	for i, p := range c.plugins() {
		if p.PID != before[i].PID {
			t.Errorf("%s has another process, and its stanza is the same", p.Label)
		}
	}
	second := c.upload("second", randomBytes(2, 2000))
	s.wantObjects(folderOne, 1000)
	s.wantObjects(folderTwo, 2000)

	s.writePlugins(twoBackends("one"))
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reload", func() bool { return strings.Contains(s.stderr.String(), "generation=3") })
	third := c.upload("third", randomBytes(3, 3000))
	s.wantObjects(folderOne, 1000, 3000)

	// What is broken changes nothing, and is named with its line.
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
				t.Errorf("no %q in %s", word, r.body)
			}
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log of a reload that failed", func() bool {
		return strings.Count(s.stderr.String(), "plugins are not reloaded") == 5
	})
	fourth := c.upload("fourth", randomBytes(4, 4000))
	s.wantObjects(folderOne, 1000, 3000, 4000)
	for _, f := range []file{first, second, third, fourth} {
		c.checkDownload(f)
	}
	// A stanza that is gone takes its files out of reach, and nothing else.
	text := twoBackends("one")
	s.writePlugins(text[:strings.Index(text, `plugin "files" "two"`)])
	c.reload()
	if f := c.get("/v1/files/"+second.ID+"/download").want(t, 503).failure(t); !strings.Contains(f.Message, `"two"`) {
		t.Errorf("%+v", f)
	}
	c.checkDownload(first)
	s.writePlugins(text)
	c.reload()
	c.checkDownload(second)
}

// No request fails because of a reload, even one that replaces the backend's
// process.
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
		time.Sleep(50 * time.Millisecond) // for the load
	}
	load.end()
	one, _ := s.objects(folderOne)
	two, _ := s.objects(folderTwo)
	t.Logf("%d requests; %d and %d files", load.n.Load(), len(one), len(two))
	if len(one) == 0 || len(two) == 0 || len(one)+len(two) != len(c.files()) {
		t.Errorf("%d and %d objects of %d files", len(one), len(two), len(c.files()))
	}
	for _, f := range c.files() {
		c.checkDownload(f)
	}
}

// load is uploads, downloads and lists that go on until end, none of which may fail.
type load struct {
	stop chan struct{}
	wg   sync.WaitGroup
	n    atomic.Int64
	// down allows failures while the server is down.
	down atomic.Bool
}

// load begins with files of up to size bytes.
func (c *client) load(size int) *load {
	c.t.Helper()
	l := &load{stop: make(chan struct{})}
	old := c.upload("old", randomBytes(1<<20, size))
	l.again(func(n int) {
		data := randomBytes(uint64(n), size/(n%7+1))
		r, err := c.tryUpload(filePart("new", &slowReader{content: bytes.NewReader(data), pause: time.Millisecond}))
		l.judge(c, "an upload", r, err, http.StatusCreated)
		if err == nil && r.status == 201 && decode[file](c.t, r).SHA256 != sha256Hex(data) {
			c.t.Errorf("other bytes are kept: %s", r.body)
		}
	})
	l.again(func(int) {
		r, err := c.try("GET", "/v1/files/"+old.ID+"/download", nil)
		l.judge(c, "a download", r, err, http.StatusOK)
		if err == nil && r.status == 200 && sha256Hex(r.body) != old.SHA256 {
			c.t.Errorf("a download has %d other bytes", len(r.body))
		}
	})
	l.again(func(int) {
		r, err := c.try("GET", "/v1/files/?limit=5", nil)
		l.judge(c, "a list", r, err, http.StatusOK)
		time.Sleep(5 * time.Millisecond)
	})
	return l
}

func (l *load) judge(c *client, what string, r *reply, err error, status int) {
	switch {
	case l.down.Load():
		time.Sleep(10 * time.Millisecond)
	case err != nil:
		c.t.Errorf("%s: %v", what, err)
	case r.status != status:
		c.t.Errorf("%s: status %d: %s", what, r.status, r.body)
	}
}

func (l *load) again(request func(n int)) {
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
