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
	"github.com/agentarea/agentarea/test/testenv"
)

// agentarea runs a command of the program in the server's folder, with its environment, and waits
// until it has ended.
func (s *server) agentarea(args ...string) (code int, out, errs string) {
	s.t.Helper()
	p := runFrom(s.t, s.bin, s.dir, s.env, args...)
	return p.exitCode(s.t), p.stdout.String(), p.stderr.String()
}

// must runs a command that must succeed, and returns its standard output.
func (s *server) must(args ...string) string {
	s.t.Helper()
	code, out, errs := s.agentarea(args...)
	if code != 0 {
		s.t.Fatalf("%q: exit code %d\n%s%s", args, code, out, errs)
	}
	return out
}

// wantFailure runs a command that must fail with want in its error output.
func (s *server) wantFailure(want string, args ...string) {
	s.t.Helper()
	if code, out, errs := s.agentarea(args...); code != 1 || !strings.Contains(errs, want) {
		s.t.Errorf("%q: got exit code %d, output %q and errors %q, want code 1 and %q", args, code, out, errs, want)
	}
}

// dataset is one object of each kind that a server stores.
type dataset struct {
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

// newDataset creates the objects.
func newDataset(t *testing.T, c *client) dataset {
	t.Helper()
	l := dataset{secret: "key-of-the-mcp-server"}
	l.agent = c.newAgent("echo")
	c.chat(l.agent, "s", "Remember me")
	c.waitTask(c.newTask(l.agent, "a task").ID)
	for i, size := range []int{0, 1, 5_000_000} {
		l.files = append(l.files, c.upload(fmt.Sprintf("f%d", i), randomBytes(uint64(i), size)))
	}
	l.mcp = c.newMCPServer("guarded",
		object{"url": protectedMCP(t, "Bearer "+l.secret), "headers": object{"Authorization": "Bearer " + l.secret}})
	c.waitMCPServer(l.mcp.ID, "it runs", running)
	c.post("/v1/users/", object{"username": "ann", "email": "ann@example.com", "password": "ann's password"}).want(t, 201)
	return l
}

// check checks that a server has all objects, and that they work.
func (l dataset) check(t *testing.T, s *server) {
	t.Helper()
	c := s.signIn()
	if h := c.history(l.agent, "s"); len(h) != 2 || h[0].Content != "Remember me" {
		t.Errorf("got history %+v, want the two messages", h)
	}
	for _, f := range l.files {
		c.checkDownload(f)
	}
	c.waitMCPServer(l.mcp.ID, "the MCP server to run with its secret", running)
	c.chat(l.agent, "s", "And go on")
	s.signInAs("ann", "ann's password")
}

// A restored server has everything that the backed-up server had, on each pair of databases.
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
			from := newServer(t, pluginsHCL("http://127.0.0.1:1/v1")+mcpHTTP).on(c.from(t))
			from.start()
			l := newDataset(t, from.signIn())
			archive := filepath.Join(t.TempDir(), "backup.tar")
			flags, word := []string{"backup", archive}, "NOT INCLUDED: the secret key"
			if c.includeKey {
				flags, word = append(flags, "--include-key"), "The archive contains the secret keys"
			}
			if out := from.must(flags...); !strings.Contains(out, "3 files (5.0 MB)") || !strings.Contains(out, word) {
				t.Errorf("backup prints %q, want 3 files (5.0 MB) and %q", out, word)
			}
			from.wantFailure("already exists", flags...)
			from.terminate()
			<-from.exited

			to := newServer(t, pluginsHCL("http://127.0.0.1:1/v1")+mcpHTTP).on(c.to(t))
			restore := []string{"restore", archive}
			if !c.includeKey {
				to.wantFailure("has 1 encrypted secret but not the key", restore...)
				wrong := filepath.Join(t.TempDir(), "wrong.key")
				if err := os.WriteFile(wrong, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
					t.Fatal(err)
				}
				to.wantFailure(`cannot decrypt 1 secret: MCP server "guarded"`, append(restore, "--key-file", wrong)...)
				to.wantNoData()
				restore = append(restore, "--key-file", filepath.Join(from.dir, "data", "secret.key"))
			}
			if out := to.must(append(restore, "--dry-run")...); !strings.Contains(out, "is complete and can be restored here") {
				t.Errorf("restore --dry-run prints %q", out)
			}
			to.wantNoData()
			if out := to.must(restore...); !strings.Contains(out, "restored: ") {
				t.Errorf("restore prints %q", out)
			}
			to.wantFailure("is not empty", restore...)
			to.start()
			to.wantFailure("is not empty", restore...)
			l.check(t, to)
		})
	}
}

// pg returns the URL of a new PostgreSQL database.
func pg(t *testing.T) string { return pgtest.Start(t) }

// on makes a server that does not run yet use a database. With an empty URL it keeps SQLite.
func (s *server) on(url string) *server {
	if url == "" {
		return s
	}
	return s.at(url)
}

// wantNoData checks that there is no data dir.
func (s *server) wantNoData() {
	s.t.Helper()
	if entries, err := os.ReadDir(filepath.Join(s.dir, "data")); !errors.Is(err, os.ErrNotExist) {
		s.t.Errorf("the data dir has %v (%v), want none", entries, err)
	}
}

// A backup that is made while files are created and deleted has the content of each file in it.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, on func(*server) *server) {
		s := on(newServer(t, pluginsHCL("http://127.0.0.1:1/v1")+mcpHTTP))
		s.start()
		c := s.signIn()
		stays := c.upload("stays", randomBytes(1, 100_000))
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
					f := c.upload(fmt.Sprintf("w%d-%d", w, i), randomBytes(uint64(i), rand.IntN(200_000)))
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
			eventually(t, "more deleted files", func() bool { return gone.Load() > seen })
			archives = append(archives, filepath.Join(t.TempDir(), fmt.Sprintf("b%d.tar", i)))
			s.must("backup", archives[i], "--include-key")
		}
		close(stop)
		wg.Wait()
		for _, archive := range archives {
			to := newServer(t, pluginsHCL("http://127.0.0.1:1/v1")+mcpHTTP)
			to.must("restore", archive)
			to.start()
			admin := to.signIn()
			admin.checkDownload(stays)
			for _, f := range admin.files() {
				admin.checkDownload(f)
			}
			to.terminate()
			<-to.exited
		}
	})
}

// Restoring a damaged archive fails and changes nothing.
func TestBadBackups(t *testing.T) {
	t.Parallel()
	from := newServer(t, pluginsHCL("http://127.0.0.1:1/v1")+mcpHTTP)
	from.start()
	c := from.signIn()
	f := c.upload("f", randomBytes(1, 100_000))
	from.wantFailure("name the server's with --data-dir", "backup", "x.tar", "--data-dir", "none")
	archive := filepath.Join(from.dir, "backup.tar")
	from.must("backup", archive)
	from.wantFailure("restore into a new one", "restore", archive) // the server uses the data dir
	archiveBytes, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	to := newServer(t, "")
	for _, bad := range []struct {
		want    string
		content []byte
	}{
		{"is not an AgentArea backup or is truncated", archiveBytes[:len(archiveBytes)-3000]},
		{"is not an AgentArea backup or is truncated", archiveBytes[:100]},
		{"the file is damaged", changed(archiveBytes, len(archiveBytes)/2)},
		{"the file is damaged", changed(archiveBytes, 5)},
	} {
		path := filepath.Join(to.dir, "bad.tar")
		if err := os.WriteFile(path, bad.content, 0o600); err != nil {
			t.Fatal(err)
		}
		to.wantFailure(bad.want, "restore", path)
		to.wantNoData()
	}
	if err := os.Mkdir(filepath.Join(to.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to.dir, "data", "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	to.wantFailure("is not empty: it has mine", "restore", archive)

	// A backup reports files whose content is lost or damaged.
	var bytesOf string
	if err := filepath.WalkDir(filepath.Join(from.dir, "data", "plugins"),
		func(path string, d os.DirEntry, err error) error {
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
	from.wantFailure("the content of 1 file is missing or damaged: "+f.ID, "backup", again)
	if _, err := os.Stat(again); err == nil {
		t.Error("the failed backup has left an archive")
	}
	if out := from.must("backup", again, "--skip-missing"); !strings.Contains(out,
		"MISSING: the content of 1 file: "+f.ID) {
		t.Errorf("backup --skip-missing prints %q", out)
	}
	if left, _ := filepath.Glob(filepath.Join(from.dir, "*.part")); len(left) > 0 {
		t.Errorf("the backup has left %q", left)
	}
}

// changed returns a copy of b with one bit flipped.
func changed(b []byte, at int) []byte {
	c := append([]byte{}, b...)
	c[at] ^= 1
	return c
}

// A restore that is killed is either complete, or no server starts on its data and the same
// command completes it.
func TestRestoreKilled(t *testing.T) {
	t.Parallel()
	rounds := testenv.Rounds(6, 40)
	onBoth(t, func(t *testing.T, on func(*server) *server) {
		from := newServer(t, pluginsHCL("http://127.0.0.1:1/v1")+mcpHTTP)
		from.start()
		l := newDataset(t, from.signIn())
		archive := filepath.Join(from.dir, "backup.tar")
		from.must("backup", archive, "--include-key")
		to := on(newServer(t, pluginsHCL("http://127.0.0.1:1/v1")+mcpHTTP))
		began := time.Now()
		timed := newServer(t, "")
		timed.must("restore", archive)
		archiveBytes := time.Since(began)
		killed := 0
		for range rounds {
			p := runFrom(t, to.bin, to.dir, to.env, "restore", archive)
			select {
			case <-p.exited:
			case <-time.After(time.Duration(rand.Int64N(int64(archiveBytes)))):
				p.kill()
				killed++
			}
			if p.cmd.ProcessState.ExitCode() == 0 {
				break
			}
			if _, err := os.Stat(filepath.Join(to.dir, "data", "restoring")); err == nil {
				to.wantFailure("was interrupted: run agentarea restore again", "serve", "--listen", "127.0.0.1:0")
			}
		}
		t.Logf("killed %d times", killed)
		if code, _, errs := to.agentarea("restore", archive); code != 0 && !strings.Contains(errs, "is not empty") {
			t.Fatalf("%d %s", code, errs)
		}
		to.start()
		l.check(t, to)
	})
}

// A backup counts the files of other backends, which are not in it. The archive is a plain tar file.
func TestBackupCountsOtherBackends(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	s := start(t, pluginsHCL("http://127.0.0.1:1/v1")+fmt.Sprintf(`
plugin "files" "far" {
  command = "files-local"
  config {
    path = %q
  }
}
`, elsewhere))
	c := s.signIn()
	c.upload("a", randomBytes(1, 1000))
	c.upload("b", randomBytes(2, 2000))
	archive := filepath.Join(s.dir, "backup.tar")
	if out := s.must("backup", archive); !strings.Contains(out,
		`NOT INCLUDED: 2 files (3.0 kB) of the file backend "far"`) {
		t.Errorf("backup prints %q", out)
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
	wantList(t, "entries", names, "database.db", "manifest.json", "sha256")
}
