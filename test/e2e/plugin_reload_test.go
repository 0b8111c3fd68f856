package e2e_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agentarea/agentarea/test/testenv"
)

// Many reloads of all kinds do not interrupt or change the answers that are streamed in the meantime.
func TestManyReloads(t *testing.T) {
	t.Parallel()
	bins := linkedBinaries(t)
	s := newServer(t, reloadPlugins(0, ""))
	s.bin = bins
	s.start()
	c := s.signIn()
	agent := c.newAgent("echo/echo")

	stop := make(chan struct{})
	var wg sync.WaitGroup
	var answers atomic.Int64
	for range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				message := fmt.Sprintf("answer %d of many words that come one after the other", n)
				s, r, err := c.tryStream("POST", "/v1/agents/"+agent+"/chat",
					object{"message": "/delay 3ms " + message, "stream": true})
				if err != nil || r != nil {
					t.Errorf("answer %d: no stream: %v %+v", n, err, r)
					return
				}
				s.readAll()
				if got := messageText(s.seen); s.err != nil || !strings.Contains(got, message) {
					t.Errorf("answer %d: %q, %v", n, got, s.err)
					return
				}
				answers.Add(1)
			}
		})
	}
	reloads := testenv.Rounds(10, 100)
	for n := range reloads {
		switch n % 5 {
		case 0, 1: // a changed block
			s.writePlugins(reloadPlugins(n+1, ""))
			c.reload()
		case 2: // one more block, which the next reload removes
			s.writePlugins(reloadPlugins(n, `
plugin "llm" "more" {
  command = "llm-echo"
}`))
			if r := c.reload(); len(r.Started) != 1 {
				t.Errorf("reload %d: %+v", n, r)
			}
		case 3: // another program of the same name
			replaceBinary(t, filepath.Join(bins, "llm-echo"))
			if r := c.reload(); len(r.Replaced) == 0 {
				t.Errorf("reload %d: %+v", n, r)
			}
		case 4: // an invalid file
			s.writePlugins(reloadPlugins(n, "") + "\nplugin \"llm\" {")
			if r := c.do("POST", "/v1/plugins/reload", nil); r.status != 400 ||
				!strings.Contains(string(r.body), "plugins.hcl:") {
				t.Errorf("reload %d: got status %d, want 400 with the line: %s", n, r.status, r.body)
			}
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d answers", answers.Load())
	if answers.Load() == 0 {
		t.Error("no answer was streamed during the reloads: the test proves nothing")
	}
}

// reloadPlugins returns a plugins.hcl whose blocks differ by n.
func reloadPlugins(n int, more string) string {
	return fmt.Sprintf(`
plugin "agent" "chat" {
  command = "agent-chat"
  env     = { N = "%d" }
}
plugin "llm" "echo" {
  command = "llm-echo"
  env     = { N = "%d" }
}
%s`, n/2, n, more)
}

// linkedBinaries returns a folder with the server and its plugins, in which a test may replace one.
func linkedBinaries(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"agentarea", "agent-chat", "llm-echo"} {
		from := filepath.Join(testenv.Binaries(t), name)
		if err := os.Link(from, filepath.Join(dir, name)); err != nil {
			copyBinary(t, from, filepath.Join(dir, name))
		}
	}
	return dir
}

func copyBinary(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// replaceBinary replaces a program by a copy, as an upgrade does.
func replaceBinary(t *testing.T, path string) {
	t.Helper()
	copyBinary(t, path, path+".new")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// The server reloads plugins.hcl when the file changes.
func TestWatchedPluginsFile(t *testing.T) {
	t.Parallel()
	s := newServer(t, reloadPlugins(0, ""))
	s.env = append(s.env, "AGENTAREA_WATCH_CONFIG=true")
	s.start()
	c := s.signIn()
	s.writePlugins(reloadPlugins(0, `
plugin "llm" "more" {
  command = "llm-echo"
}`))
	eventually(t, "the new plugin", func() bool {
		r := c.do("GET", "/v1/plugins", nil)
		return strings.Contains(string(r.body), `"label":"more"`)
	})
}
