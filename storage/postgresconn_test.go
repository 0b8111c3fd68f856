package storage_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/pgtest"
)

// connectTo opens the database at url and checks the connection.
func connectTo(t *testing.T, url string) (*storage.DB, error) {
	t.Helper()
	db, err := storage.Open(t.Context(), url, storage.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db, db.Connect(t.Context(), 0, nil)
}

// TestPgBouncer checks that the server works with PgBouncer if each connection has a session, and that it is refused
// otherwise.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	for _, mode := range []string{"transaction", "statement"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			_, err := connectTo(t, pgtest.Bouncer(t, server, mode))
			if err == nil || !strings.Contains(err.Error(), "pool_mode = session") {
				t.Errorf("Connect with pool_mode = %s: %v, want an error with the remedy", mode, err)
			}
		})
	}
	t.Run("session", func(t *testing.T) {
		t.Parallel()
		url := pgtest.Bouncer(t, server, "session")
		db, err := connectTo(t, url)
		must(t, err)
		must(t, db.Migrate(t.Context()))
		must(t, db.RenewLease(t.Context(), "server", time.Now().Add(time.Hour)))
		must(t, db.Ready(t.Context(), "server"))
		must(t, db.Check(t.Context(), func(p storage.Problem) { t.Errorf("unexpected problem: %v", p) }))
		other, err := connectTo(t, url)
		must(t, err)
		awaitWakeup(t, db, other)
	})
}

// awaitWakeup fails the test if to does not receive the wakeups of from.
func awaitWakeup(t *testing.T, from, to *storage.DB) {
	t.Helper()
	received := make(chan struct{})
	var once sync.Once
	unsubscribe := to.Subscribe(func(core.Wakeup) { once.Do(func() { close(received) }) })
	defer unsubscribe()
	for deadline := time.After(time.Minute); ; {
		must(t, from.AddNotification(t.Context(), &core.Notification{Type: "test", Data: []byte("{}"), CreatedAt: time.Now()}))
		select {
		case <-received:
			return
		case <-time.After(50 * time.Millisecond): // to may not listen yet
		case <-deadline:
			t.Fatal("no wakeup arrived")
		}
	}
}

// TestPostgresConnections checks that URLs with the parameters of hosted services connect.
func TestPostgresConnections(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	server.Execute(t, "CREATE ROLE ada LOGIN PASSWORD 'p@ss/w:rd'")
	server.Execute(t, "GRANT ALL ON SCHEMA public TO ada")
	server.Execute(t, "GRANT postgres TO ada") // either may create the tables
	plain := strings.TrimPrefix(server.URL, "postgres://postgres@")
	address, _, _ := strings.Cut(plain, "/")
	gone := closedAddress(t)

	t.Run("without TLS", func(t *testing.T) {
		for name, c := range map[string]struct{ url, show, want string }{
			"prefer":   {"postgres://postgres@" + plain + "?sslmode=prefer", "ssl", "off"},
			"allow":    {"postgres://postgres@" + plain + "?sslmode=allow&channel_binding=prefer", "ssl", "off"},
			"options":  {"postgres://postgres@" + plain + "?options=-c%20work_mem%3D5MB", "work_mem", "5MB"},
			"a name":   {"postgres://postgres@" + plain + "?application_name=bot", "application_name", "bot"},
			"timeouts": {"postgres://postgres@" + plain + "?connect_timeout=7", "statement_timeout", "10s"},
			"a host that is gone": {
				"postgres://postgres@" + gone + "," + plain + "?connect_timeout=3", "transaction_read_only", "off",
			},
			"hosts as parameters": {
				"postgres://postgres@/postgres?host=127.0.0.1,127.0.0.1&port=" + port(gone) + "," + port(address) +
					"&target_session_attrs=primary", "port", port(address),
			},
		} {
			t.Run(name, func(t *testing.T) {
				db, err := connectTo(t, c.url)
				must(t, err)
				var got string
				must(t, db.Reader().NewRaw("SELECT current_setting(?)", c.show).Scan(t.Context(), &got))
				if got != c.want {
					t.Errorf("%s = %q, want %q", c.show, got, c.want)
				}
			})
		}
	})

	t.Run("with TLS", func(t *testing.T) {
		files := server.EnableTLS(t, "hostssl all postgres all cert", "hostssl all ada all scram-sha-256",
			"hostnossl all postgres all trust", "hostnossl all ada all reject")
		server.Kill()
		if err := server.Up(); err != nil {
			t.Fatal(err)
		}
		certificate := "sslcert=" + files.Cert + "&sslkey=" + files.Key
		ada := "postgres://ada:" + url.QueryEscape("p@ss/w:rd") + "@"
		for name, c := range map[string]struct{ url, want string }{
			"prefer":             {ada + plain + "?sslmode=prefer", ""},
			"require":            {ada + plain + "?sslmode=require", ""},
			"channel binding":    {ada + plain + "?sslmode=require&channel_binding=require", ""},
			"no channel binding": {ada + plain + "?sslmode=require&channel_binding=disable", ""},
			"verify-ca":          {ada + plain + "?sslmode=verify-ca&sslrootcert=" + files.CA, ""},
			"verify-full":        {ada + plain + "?sslmode=verify-full&sslrootcert=" + files.CA, ""},
			"client certificate": {
				"postgres://postgres@" + plain + "?sslmode=verify-full&sslrootcert=" + files.CA + "&" + certificate, "",
			},
			"no client certificate": {"postgres://postgres@" + plain + "?sslmode=require", "certificate"},
			"unknown authority":     {ada + plain + "?sslmode=verify-full", "certificate signed by unknown authority"},
			"no TLS":                {ada + plain + "?sslmode=disable", "no encryption"},
			"wrong password":        {"postgres://ada:cAnArY@" + plain + "?sslmode=require", "password authentication failed"},
			"no such database":      {ada + address + "/none?sslmode=require", `database "none" does not exist`},
		} {
			t.Run(name, func(t *testing.T) {
				db, err := connectTo(t, c.url)
				if c.want == "" {
					must(t, err)
					must(t, db.Migrate(t.Context()))
					must(t, db.RenewLease(t.Context(), "server", time.Now().Add(time.Hour)))
					return
				}
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "cAnArY") {
					t.Errorf("Connect = %v, want an error with %q and without the password", err, c.want)
				}
				// An error of the user or the certificate is no reason to wait.
				err = db.Connect(t.Context(), time.Hour, func(err error) { t.Errorf("Connect waits after %v", err) })
				if err == nil {
					t.Error("Connect succeeded at the second call")
				}
			})
		}
	})
}

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

// closedAddress returns an address on which nothing listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}

// TestConnect_waits checks that Connect waits for a server that starts, and not longer than it should.
func TestConnect_waits(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	server.Kill()
	db, err := storage.Open(t.Context(), server.URL, storage.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	failures := 0
	err = db.Connect(t.Context(), 50*time.Millisecond, func(error) { failures++ })
	if err == nil || failures == 0 || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("Connect to a server that is down = %v after %d failures, want the reason", err, failures)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := db.Connect(ctx, time.Hour, func(error) { cancel() }); err == nil {
		t.Error("Connect with a cancelled context = nil, want an error")
	}
	var up sync.Once
	must(t, db.Connect(t.Context(), time.Hour, func(error) {
		up.Do(func() { must(t, server.Up()) })
	}))
	must(t, db.Migrate(t.Context()))
}

// TestMaxPostgresConnections checks that a busy server has no more connections than the documentation says.
func TestMaxPostgresConnections(t *testing.T) {
	t.Parallel()
	base := pgtest.Start(t)
	separator := "?"
	if strings.Contains(base, "?") {
		separator = "&"
	}
	db, err := connectTo(t, base+separator+"application_name=counted-"+core.NewID("x"))
	must(t, err)
	must(t, db.Migrate(t.Context()))
	stop, err := db.Work(4, func(context.Context) {})
	must(t, err)
	defer func() { must(t, stop(context.WithoutCancel(t.Context()))) }()
	var clients sync.WaitGroup
	for i := range 3 * storage.MaxPostgresConnections {
		clients.Go(func() {
			for range 3 {
				if err := db.RenewLease(t.Context(), fmt.Sprint("server-", i), time.Now().Add(time.Hour)); err != nil {
					t.Error(err)
				}
				if _, err := db.Reader().ExecContext(t.Context(), "SELECT pg_sleep(0.002)"); err != nil {
					t.Error(err)
				}
				if _, err := db.Rates().TakeRate(t.Context(), fmt.Sprint("key-", i), core.RateLimit{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	var n int
	must(t, db.Reader().NewRaw("SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = "+
		"current_setting('application_name')").Scan(t.Context(), &n))
	if n > storage.MaxPostgresConnections || n < storage.MaxPostgresConnections-2 {
		t.Errorf("a busy server has %d connections, want about %d", n, storage.MaxPostgresConnections)
	}
	for _, page := range []string{"../docs/database.md", "../docs/operations.md"} {
		text, err := os.ReadFile(page)
		must(t, err)
		if want := fmt.Sprintf("up to %d", storage.MaxPostgresConnections); !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q connections", page, want)
		}
	}
}
