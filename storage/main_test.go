package storage_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/dbtest"
)

// Tests of crashes and locks start this test binary again, as another process that uses the same
// database. These variables select its task.
const (
	envRole = "STORAGE_TEST_ROLE"
	envPath = "STORAGE_TEST_PATH"
)

// roles maps the values of envRole to functions. They print lines to stdout; holdLock and
// migrateForever end when stdin is closed.
var roles = map[string]func(ctx context.Context, path string) error{
	"lock":    holdLock,
	"write":   writeForever,
	"files":   filesForever,
	"migrate": migrateForever,
}

func TestMain(m *testing.M) {
	role := os.Getenv(envRole)
	if role == "" {
		os.Exit(m.Run())
	}
	err := roles[role](context.Background(), os.Getenv(envPath))
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// process is another process that uses the database.
type process struct {
	*exec.Cmd
	lines *bufio.Scanner
	stdin io.Closer
}

// startProcess starts this test binary with a role.
func startProcess(t *testing.T, role, path string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envRole+"="+role, envPath+"="+path)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return &process{Cmd: cmd, lines: bufio.NewScanner(stdout), stdin: stdin}
}

// line waits for the next line of the process and returns it.
func (p *process) line(t *testing.T) string {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatalf("the other process ended: %v", p.lines.Err())
	}
	return p.lines.Text()
}

// kill kills the process with SIGKILL, and returns the lines that it printed before.
func (p *process) kill(t *testing.T) []string {
	t.Helper()
	must(t, p.Process.Kill())
	var rest []string
	for p.lines.Scan() {
		rest = append(rest, p.lines.Text())
	}
	_ = p.Wait() // reports that the process was killed
	return rest
}

// setRapidChecks sets the number of checks of each property. All suites of a run use the same number.
func setRapidChecks(t *testing.T, n int) {
	t.Helper()
	rapidChecks.Do(func() {
		if err := flag.Set("rapid.checks", strconv.Itoa(n)); err != nil {
			t.Error(err)
		}
	})
}

var rapidChecks sync.Once

func newPath(tb testing.TB) string { return filepath.Join(tb.TempDir(), "test.db") }

// openAt opens a SQLite file and closes it when the test ends.
func openAt(tb testing.TB, path string, o storage.Options) *storage.DB {
	tb.Helper()
	db, err := storage.Open(context.Background(), "sqlite://"+path, o)
	must(tb, err)
	tb.Cleanup(func() { must(tb, db.Close()) })
	return db
}

// openNew creates and opens a SQLite file with the current schema.
func openNew(tb testing.TB, o storage.Options) (*storage.DB, string) {
	tb.Helper()
	path := newPath(tb)
	dbtest.Create(tb, path)
	return openAt(tb, path, o), path
}

// checkIntegrity fails the test if SQLite reports errors in the file or rows with missing parents.
func checkIntegrity(t *testing.T, db *storage.DB) {
	t.Helper()
	var verdict string
	must(t, db.Reader().NewRaw("PRAGMA integrity_check").Scan(t.Context(), &verdict))
	if verdict != "ok" {
		t.Fatalf("integrity_check: got %q, want ok", verdict)
	}
	var tables []string
	must(t, db.Reader().NewRaw(`SELECT "table" FROM pragma_foreign_key_check`).Scan(t.Context(), &tables))
	if len(tables) > 0 {
		t.Fatalf("tables with missing parent rows: %q", tables)
	}
}
