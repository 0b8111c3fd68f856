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
)

const (
	// URLVariable names a server for the tests, whose user may make databases.
	URLVariable = "AGENTAREA_TEST_POSTGRES_URL"

	// RequireVariable, if not empty, has tests fail where there is no PostgreSQL,
	// instead of being skipped.
	RequireVariable = "AGENTAREA_REQUIRE_POSTGRES"
)

var shared struct {
	once   sync.Once
	server *Server
	err    error
	count  atomic.Int64
}

// Start gives the URL of a new, empty database, which goes with the test.
func Start(tb testing.TB) string {
	tb.Helper()
	base := os.Getenv(URLVariable)
	if base == "" {
		// One server for all tests of the process, which it ends with.
		shared.once.Do(func() { shared.server, shared.err = launch(os.TempDir(), &Server{}) })
		if shared.err != nil {
			missing(tb, shared.err)
		}
		base = shared.server.URL
	}
	return database(tb, base)
}

func missing(tb testing.TB, err error) {
	tb.Helper()
	const remedy = "install PostgreSQL's server (Debian: postgresql), or name one by " + URLVariable
	if os.Getenv(RequireVariable) != "" {
		tb.Fatalf("no PostgreSQL to test with: %v: %s", err, remedy)
	}
	tb.Skipf("NOT TESTED ON POSTGRESQL: %v: %s", err, remedy)
}

// Own starts a server for this test alone, which it may kill and start again.
func Own(tb testing.TB) *Server {
	tb.Helper()
	s, err := launch(tb.TempDir(), &Server{})
	if err != nil {
		missing(tb, err)
	}
	tb.Cleanup(s.Close)
	return s
}

// database makes one beside the base's.
func database(tb testing.TB, base string) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), shared.count.Add(1))
	execute(tb, base, "CREATE DATABASE "+name)
	tb.Cleanup(func() { execute(tb, base, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	u, err := url.Parse(base)
	if err != nil {
		tb.Fatalf("%s: not a URL", URLVariable)
	}
	u.Path = "/" + name
	return u.String()
}

func execute(tb testing.TB, base, statement string) {
	tb.Helper()
	dsn := base
	if !strings.Contains(dsn, "sslmode=") {
		dsn += "?sslmode=disable"
	}
	db := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(dsn)))
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		tb.Errorf("%s: %v", statement, err)
	}
}
