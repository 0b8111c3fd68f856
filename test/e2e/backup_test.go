package e2e_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/pgtest"
)

// agentarea runs a command to its end beside a server, in the server's folder and
// with its environment.
func (s *server) agentarea(args ...string) (code int, out, errs string) {
	s.t.Helper()
	p := runFrom(s.t, s.bin, s.dir, s.env, args...)
	return p.exitCode(s.t), p.stdout.String(), p.stderr.String()
}

// must runs a command that succeeds.
func (s *server) must(args ...string) string {
	s.t.Helper()
	code, out, errs := s.agentarea(args...)
	if code != 0 {
		s.t.Fatalf("%q: exit code %d\n%s%s", args, code, out, errs)
	}
	return out
}

// refused runs a command that must fail and say why.
func (s *server) refused(want string, args ...string) {
	s.t.Helper()
	if code, out, errs := s.agentarea(args...); code != 1 || !strings.Contains(errs, want) {
		s.t.Errorf("%q: %d %q %q, want %q", args, code, out, errs, want)
	}
}

// lived is what a server has to have kept.
type lived struct {
	agent  string
	mcp    mcpServer
	files  []file
	secret string
}

const mcpHTTP = `
plugin "mcp" "http" {
  command = "mcp-http"
  config {
    allow = ["127.0.0.1"]
  }
}

plugin "files" "local" {
  command = "files-local"
}

file_backend = "local"
`

// live has a server keep something of each kind.
func live(t *testing.T, c *client) lived {
	t.Helper()
	l := lived{secret: "key-of-the-mcp-server"}
	l.agent = c.newAgent("echo")
	c.chat(l.agent, "s", "Remember me")
	c.taskEnded(c.newTask(l.agent, "a task").ID)
	for i, size := range []int{0, 1, 5_000_000} {
		l.files = append(l.files, c.upload(fmt.Sprintf("f%d", i), noise(uint64(i), size)))
	}
	l.mcp = c.newMCPServer("guarded", object{"url": guardedMCP(t, "Bearer "+l.secret), "headers": object{"Authorization": "Bearer " + l.secret}})
	c.awaitMCP(l.mcp.ID, "it runs", running)
	c.post("/v1/users/", object{"username": "ann", "email": "ann@example.com", "password": "ann's password"}).want(t, 201)
	return l
}

// wantLived wants all of it, for everybody.
func (l lived) want(t *testing.T, s *server) {
	t.Helper()
	c := s.signIn()
	if h := c.history(l.agent, "s"); len(h) != 2 || h[0].Content != "Remember me" {
		t.Errorf("the history is %+v", h)
	}
	for _, f := range l.files {
		c.wantWholeFile(f)
	}
	c.awaitMCP(l.mcp.ID, "it runs with its secret", running)
	c.chat(l.agent, "s", "And go on")
	s.signInAs("ann", "ann's password")
}

// TestBackupAndRestore: what one server kept, another one serves, on either database.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	sqlite := func(*testing.T) string { return "" }
	for name, c := range map[string]struct {
		from, to   func(*testing.T) string
		includeKey bool
	}{
		"sqlite to sqlite":     {sqlite, sqlite, true},
		"postgres to postgres": {pg, pg, false},
		"postgres to sqlite":   {pg, sqlite, true},
		"sqlite to postgres":   {sqlite, pg, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := newServer(t, plugins("http://127.0.0.1:1/v1")+mcpHTTP).on(c.from(t))
			from.start()
			l := live(t, from.signIn())
			archive := filepath.Join(t.TempDir(), "backup.tar")
			flags, word := []string{"backup", archive}, "NOT INCLUDED: the secret key"
			if c.includeKey {
				flags, word = append(flags, "--include-key"), "The archive contains the secret keys"
			}
			if out := from.must(flags...); !strings.Contains(out, "3 files (5.0 MB)") || !strings.Contains(out, word) {
				t.Errorf("%s", out)
			}
			from.refused("exists already", flags...)
			from.terminate()
			<-from.exited

			to := newServer(t, plugins("http://127.0.0.1:1/v1")+mcpHTTP).on(c.to(t))
			restore := []string{"restore", archive}
			if !c.includeKey {
				to.refused("has 1 encrypted secret but not the key", restore...)
				wrong := filepath.Join(t.TempDir(), "wrong.key")
				if err := os.WriteFile(wrong, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
					t.Fatal(err)
				}
				to.refused(`cannot decrypt 1 secret: MCP server "guarded"`, append(restore, "--key-file", wrong)...)
				to.wantNoData()
				restore = append(restore, "--key-file", filepath.Join(from.dir, "data", "secret.key"))
			}
			if out := to.must(append(restore, "--dry-run")...); !strings.Contains(out, "is complete and can be restored here") {
				t.Errorf("%s", out)
			}
			to.wantNoData()
			if out := to.must(restore...); !strings.Contains(out, "restored: ") {
				t.Errorf("%s", out)
			}
			to.refused("is not empty", restore...)
			to.start()
			to.refused("is not empty", restore...)
			l.want(t, to)
		})
	}
}

func pg(t *testing.T) string { return pgtest.Start(t) }

// on has a server that does not run yet use a database; "" is its own.
func (s *server) on(url string) *server {
	if url == "" {
		return s
	}
	return s.at(url)
}

// wantNoData wants a data dir that no restore has left anything in.
func (s *server) wantNoData() {
	s.t.Helper()
	if entries, err := os.ReadDir(filepath.Join(s.dir, "data")); !errors.Is(err, os.ErrNotExist) {
		s.t.Errorf("the data dir has %v, %v", entries, err)
	}
}

// TestBackupUnderLoad: files come and go while it is made; each that it has a row of
// has its bytes.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, on func(*server) *server) {
		s := on(newServer(t, plugins("http://127.0.0.1:1/v1")+mcpHTTP))
		s.start()
		c := s.signIn()
		stays := c.upload("stays", noise(1, 100_000))
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var gone atomic.Int64
		for w := range 3 {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					f := c.upload(fmt.Sprintf("w%d-%d", w, i), noise(uint64(i), rand.IntN(200_000)))
					if i%3 != 0 {
						c.do("DELETE", "/v1/files/"+f.ID, nil).want(t, 204)
						gone.Add(1)
					}
				}
			})
		}
		var archives []string
		for i := range 3 {
			seen := gone.Load()
			eventually(t, 20*time.Second, "files that go", func() bool { return gone.Load() > seen })
			archives = append(archives, filepath.Join(t.TempDir(), fmt.Sprintf("b%d.tar", i)))
			s.must("backup", archives[i], "--include-key")
		}
		close(stop)
		wg.Wait()
		for _, archive := range archives {
			to := newServer(t, plugins("http://127.0.0.1:1/v1")+mcpHTTP)
			to.must("restore", archive)
			to.start()
			there := to.signIn()
			there.wantWholeFile(stays)
			for _, f := range there.files() {
				there.wantWholeFile(f)
			}
			to.terminate()
			<-to.exited
		}
	})
}

// TestBadBackups: what can't be restored is told, and nothing has changed.
func TestBadBackups(t *testing.T) {
	t.Parallel()
	from := newServer(t, plugins("http://127.0.0.1:1/v1")+mcpHTTP)
	from.start()
	c := from.signIn()
	f := c.upload("f", noise(1, 100_000))
	from.refused("name the server's with --data-dir", "backup", "x.tar", "--data-dir", "none")
	archive := filepath.Join(from.dir, "backup.tar")
	from.must("backup", archive)
	from.refused("restore into a new one", "restore", archive) // the server runs on it
	whole, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	to := newServer(t, "")
	for _, bad := range []struct {
		want    string
		content []byte
	}{
		{"is not an AgentArea backup or is truncated", whole[:len(whole)-3000]},
		{"is not an AgentArea backup or is truncated", whole[:100]},
		{"the file is damaged", changed(whole, len(whole)/2)},
		{"the file is damaged", changed(whole, 5)},
	} {
		path := filepath.Join(to.dir, "bad.tar")
		if err := os.WriteFile(path, bad.content, 0o600); err != nil {
			t.Fatal(err)
		}
		to.refused(bad.want, "restore", path)
		to.wantNoData()
	}
	if err := os.Mkdir(filepath.Join(to.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to.dir, "data", "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	to.refused("is not empty: it has mine", "restore", archive)

	// The bytes of a file that were lost, or have rotted, are told before the day that they are needed.
	var bytesOf string
	if err := filepath.WalkDir(filepath.Join(from.dir, "data", "plugins"), func(path string, d os.DirEntry, err error) error {
		if info, e := d.Info(); e == nil && info.Size() == f.Size {
			bytesOf = path
		}
		return err
	}); err != nil || bytesOf == "" {
		t.Fatal(bytesOf, err)
	}
	content, err := os.ReadFile(bytesOf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bytesOf, changed(content, 7), 0o600); err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(from.dir, "again.tar")
	from.refused("the content of 1 file is missing or damaged: "+f.ID, "backup", again)
	if _, err := os.Stat(again); err == nil {
		t.Error("there is an archive")
	}
	if out := from.must("backup", again, "--skip-missing"); !strings.Contains(out, "MISSING: the content of 1 file: "+f.ID) {
		t.Errorf("%s", out)
	}
	if left, _ := filepath.Glob(filepath.Join(from.dir, "*.part")); len(left) > 0 {
		t.Errorf("left is %q", left)
	}
}

func changed(b []byte, at int) []byte {
	c := append([]byte{}, b...)
	c[at] ^= 1
	return c
}

// TestRestoreKilled: killed at any moment, a restore has either been done, or no
// server starts on what it has left and the same command does it.
func TestRestoreKilled(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, on func(*server) *server) {
		from := newServer(t, plugins("http://127.0.0.1:1/v1")+mcpHTTP)
		from.start()
		l := live(t, from.signIn())
		archive := filepath.Join(from.dir, "backup.tar")
		from.must("backup", archive, "--include-key")
		to := on(newServer(t, plugins("http://127.0.0.1:1/v1")+mcpHTTP))
		began := time.Now()
		timed := newServer(t, "")
		timed.must("restore", archive)
		whole := time.Since(began)
		killed := 0
		for range 40 {
			p := runFrom(t, to.bin, to.dir, to.env, "restore", archive)
			select {
			case <-p.exited:
			case <-time.After(time.Duration(rand.Int64N(int64(whole)))):
				p.kill()
				killed++
			}
			if p.cmd.ProcessState.ExitCode() == 0 {
				break
			}
			if _, err := os.Stat(filepath.Join(to.dir, "data", "restoring")); err == nil {
				to.refused("was interrupted: run agentarea restore again", "serve", "--listen", "127.0.0.1:0")
			}
		}
		t.Logf("killed %d times", killed)
		if code, _, errs := to.agentarea("restore", archive); code != 0 && !strings.Contains(errs, "is not empty") {
			t.Fatalf("%d %s", code, errs)
		}
		to.start()
		l.want(t, to)
	})
}

// TestBackupSaysWhatIsElsewhere: files that are not in the data folder are counted
// by their backend. An archive is a tar that anybody's tar reads.
func TestBackupSaysWhatIsElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	s := start(t, plugins("http://127.0.0.1:1/v1")+fmt.Sprintf(`
plugin "files" "far" {
  command = "files-local"
  config {
    path = %q
  }
}
`, elsewhere))
	c := s.signIn()
	c.upload("a", noise(1, 1000))
	c.upload("b", noise(2, 2000))
	archive := filepath.Join(s.dir, "backup.tar")
	if out := s.must("backup", archive); !strings.Contains(out, `NOT INCLUDED: 2 files (3.0 kB) of the file backend "far"`) {
		t.Errorf("%s", out)
	}
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names []string
	for r := tar.NewReader(f); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, head.Name)
	}
	same(t, "entries", names, "database.db", "manifest.json", "sha256")
}
