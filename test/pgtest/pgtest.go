package pgtest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/agentarea/agentarea/test/testenv"
)

// URLVariable is an environment variable with the URL of a server for the tests. Its user must
// be allowed to create databases.
const URLVariable = "AGENTAREA_TEST_POSTGRES_URL"

var shared struct {
	once   sync.Once
	server *Server
	err    error
	count  atomic.Int64
}

// Require returns the URL of the server, which it starts if necessary. All tests of the process
// share it. Without PostgreSQL the test is skipped.
func Require(tb testing.TB) string {
	tb.Helper()
	if base := os.Getenv(URLVariable); base != "" {
		return base
	}
	shared.once.Do(func() { shared.server, shared.err = launch(os.TempDir(), &Server{}) })
	if shared.err != nil {
		testenv.Missing(tb, "PostgreSQL", shared.err)
	}
	return shared.server.URL
}

// Start returns the URL of a new, empty database. It is dropped when the test ends.
// Without PostgreSQL the test is skipped.
func Start(tb testing.TB) string {
	tb.Helper()
	url, drop := Create(tb)
	tb.Cleanup(drop)
	return url
}

// Own starts a server that only this test uses, so that it may kill and restart it.
// Without PostgreSQL the test is skipped.
func Own(tb testing.TB) *Server {
	tb.Helper()
	s, err := launch(tb.TempDir(), &Server{})
	if err != nil {
		testenv.Missing(tb, "PostgreSQL", err)
	}
	tb.Cleanup(s.Close)
	return s
}

// Create returns the URL of a new, empty database, which drop removes. The database may outlive
// the test. Without PostgreSQL the test is skipped.
func Create(tb testing.TB) (databaseURL string, drop func()) {
	tb.Helper()
	return create(tb, "")
}

// Copy returns the URL of a new copy of a database of this server, to which nobody may be
// connected. It is dropped when the test ends.
func Copy(tb testing.TB, template string) string {
	tb.Helper()
	u, err := url.Parse(template)
	if err != nil {
		tb.Fatal(err)
	}
	url, drop := create(tb, " TEMPLATE "+strings.TrimPrefix(u.Path, "/"))
	tb.Cleanup(drop)
	return url
}

func create(tb testing.TB, options string) (databaseURL string, drop func()) {
	tb.Helper()
	base := Require(tb)
	u, err := url.Parse(base)
	if err != nil {
		tb.Fatalf("%s is not a URL: %v", URLVariable, err)
	}
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), shared.count.Add(1))
	if err := execute(base, "CREATE DATABASE "+name+options); err != nil {
		tb.Fatal(err)
	}
	u.Path = "/" + name
	return u.String(), func() {
		// A database that stays is no reason to fail: its name is used once.
		_ = execute(base, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}
}

func execute(base, statement string) error {
	if !strings.Contains(base, "sslmode=") {
		base += "?sslmode=disable"
	}
	db := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(base)))
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
