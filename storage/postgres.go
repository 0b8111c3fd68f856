package storage

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/agentarea/agentarea/core"
)

// postgresDialect stores everything in a PostgreSQL database that several servers share.
type postgresDialect struct {
	address  postgresAddress
	user     string
	password string
	database string
	tls      *tls.Config
	app      string
	// name identifies this server in the notifications that it sends.
	name string
}

type postgresAddress struct{ network, address string }

const (
	// statementTimeout makes PostgreSQL end a statement, which would otherwise continue after its
	// caller has stopped waiting. A connection without a response for answerTimeout counts as lost.
	statementTimeout = 10 * time.Second
	answerTimeout    = 12 * time.Second
	connectTimeout   = 5 * time.Second
	idleConnection   = 5 * time.Minute
	idleTransaction  = 5 * time.Second

	rateConnections = 4
)

// parsePostgres parses a URL such as postgres://user:password@host:port/database?sslmode=…. Its errors
// do not contain the password.
func parsePostgres(text string) (*postgresDialect, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("the database URL is not valid: use postgres://user:password@host:5432/database")
	}
	d := &postgresDialect{
		user: u.User.Username(), database: strings.TrimPrefix(u.Path, "/"), app: "agentarea", name: core.NewID("db"),
	}
	d.password, _ = u.User.Password()
	if d.user == "" || d.database == "" {
		return nil, errors.New("the database URL has no user or no database: use postgres://user:password@host:5432/database")
	}
	q := u.Query()
	for name := range q {
		switch name {
		case "sslmode", "sslrootcert", "host", "port", "application_name":
		default:
			return nil, fmt.Errorf("the database URL has an unknown parameter %q: use sslmode, sslrootcert, host, port or "+
				"application_name", name)
		}
	}
	if name := q.Get("application_name"); name != "" {
		d.app = name
	}
	host, port := u.Hostname(), u.Port()
	if q.Has("host") {
		host = q.Get("host")
	}
	if q.Has("port") {
		port = q.Get("port")
	}
	if port == "" {
		port = "5432"
	}
	switch {
	case host == "":
		return nil, errors.New("the database URL has no host: use postgres://user:password@host:5432/database")
	case strings.HasPrefix(host, "/"):
		d.address = postgresAddress{"unix", filepath.Join(host, ".s.PGSQL."+port)}
	default:
		d.address = postgresAddress{"tcp", net.JoinHostPort(host, port)}
	}
	d.tls, err = postgresTLS(host, q.Get("sslmode"), q.Get("sslrootcert"))
	return d, err
}

// postgresTLS returns the TLS configuration for a host, or nil for a connection without TLS. If no
// mode is given, it verifies the certificate and the name, except for a server on this machine.
func postgresTLS(host, mode, rootFile string) (*tls.Config, error) {
	local := strings.HasPrefix(host, "/") || host == "localhost" || net.ParseIP(host).IsLoopback()
	if mode == "" && !local {
		mode = "verify-full"
	}
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if rootFile != "" {
		pem, err := os.ReadFile(rootFile)
		if err != nil {
			return nil, fmt.Errorf("sslrootcert of the database URL: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("sslrootcert of the database URL: no certificate in %s", rootFile)
		}
	}
	switch mode {
	case "", "disable":
		return nil, nil //nolint:nilnil // no TLS
	case "require":
		if rootFile == "" {
			config.InsecureSkipVerify = true // "require" means encryption without verification
			return config, nil
		}
		return verifyChainOnly(config), nil
	case "verify-ca":
		return verifyChainOnly(config), nil
	case "verify-full":
		return config, nil
	default:
		return nil, fmt.Errorf("the database URL has sslmode %q: use disable, require, verify-ca or verify-full", mode)
	}
}

// verifyChainOnly makes config verify the signatures of the certificate but not its name.
func verifyChainOnly(config *tls.Config) *tls.Config {
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(s tls.ConnectionState) error {
		options := x509.VerifyOptions{Roots: config.RootCAs, Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(options)
		return err
	}
	return config
}

func (d *postgresDialect) open(_ context.Context, o Options) (writer, reader *bun.DB, err error) {
	return bun.NewDB(d.pool(1), pgdialect.New()), bun.NewDB(d.pool(o.Readers), pgdialect.New()), nil
}

func (d *postgresDialect) pool(size int) *sql.DB {
	pool := sql.OpenDB(pgdriver.NewConnector(
		pgdriver.WithNetwork(d.address.network), pgdriver.WithAddr(d.address.address), pgdriver.WithTLSConfig(d.tls),
		pgdriver.WithUser(d.user), pgdriver.WithPassword(d.password), pgdriver.WithDatabase(d.database),
		pgdriver.WithApplicationName(d.app), pgdriver.WithDialTimeout(connectTimeout),
		pgdriver.WithReadTimeout(answerTimeout), pgdriver.WithWriteTimeout(connectTimeout), pgdriver.WithTracing(false),
		pgdriver.WithConnParams(map[string]any{
			"statement_timeout":                   strconv.FormatInt(statementTimeout.Milliseconds(), 10),
			"idle_in_transaction_session_timeout": strconv.FormatInt(idleTransaction.Milliseconds(), 10),
		}),
	))
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	pool.SetConnMaxIdleTime(idleConnection)
	return pool
}

// queue returns a driver with separate connections, one of which listens for notifications.
func (d *postgresDialect) queue(Options) (riverdriver.Driver[*sql.Tx], func() error, error) {
	config, err := pgxpool.ParseConfig("sslmode=disable")
	if err != nil {
		return nil, nil, err
	}
	c := config.ConnConfig
	c.User, c.Password, c.Database, c.TLSConfig, c.Fallbacks = d.user, d.password, d.database, d.tls, nil
	c.ConnectTimeout = connectTimeout
	c.RuntimeParams = map[string]string{"application_name": d.app}
	dial := d.address
	c.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, dial.network, dial.address)
	}
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	c.Host, c.Port = "postgres", 5432 // required but unused: DialFunc has the address
	config.MinConns, config.MaxConns = 0, 1
	listener, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, nil, err
	}
	pool := d.pool(3)
	return riverdatabasesql.NewWithPgxListener(pool, listener), func() error {
		listener.Close()
		return pool.Close()
	}, nil
}

// rateCounter returns a separate pool, so that counting a request never waits for other queries.
func (d *postgresDialect) rateCounter() *sql.DB { return d.pool(rateConnections) }

// rewrite replaces each ? with $1, $2 and so on.
func (*postgresDialect) rewrite(statement string) string {
	var b strings.Builder
	n := 0
	for _, r := range statement {
		if r != '?' {
			b.WriteRune(r)
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	return b.String()
}

// lockWrites takes a lock that all servers share. A transaction contains all waiting writes of a
// server, so one transaction at a time is enough, and transactions cannot conflict. A server that
// stops within a transaction loses the lock after idleTransaction.
func (*postgresDialect) lockWrites(ctx context.Context, tx *tx) error {
	_, err := tx.exec(ctx, lockWrites)
	return err
}

// lockWrites uses a lock number that no other application in the same database should use.
var lockWrites = &preparedStatement{"SELECT pg_advisory_xact_lock(7041600)"}

// notifyChannel is the PostgreSQL channel on which the servers send wakeups to each other.
const notifyChannel = "agentarea"

var notifyServers = &preparedStatement{"SELECT pg_notify('" + notifyChannel + "', ?)"}

// notify sends each wakeup as three words: the name of this server, the topic and the id.
func (d *postgresDialect) notify(ctx context.Context, tx *tx) error {
	for _, w := range tx.wakeups {
		if _, err := tx.exec(ctx, notifyServers, d.name+" "+string(w.Topic)+" "+w.ID); err != nil {
			return err
		}
	}
	return nil
}

// listen reconnects after a lost connection, without a limit. Wakeups sent meanwhile are lost.
func (d *postgresDialect) listen(receive func([]core.Wakeup)) (stop func()) {
	pool := d.pool(1)
	ctx, cancel := context.WithCancel(context.Background())
	listener := pgdriver.NewListener(bun.NewDB(pool, pgdialect.New()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil && listener.Listen(ctx, notifyChannel) != nil {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
		notifications := listener.Channel(pgdriver.WithChannelSize(1000))
		for {
			select {
			case <-ctx.Done():
				return
			case n, ok := <-notifications:
				if !ok {
					return
				}
				words := strings.SplitN(n.Payload, " ", 3)
				if len(words) == 3 && words[0] != d.name {
					receive([]core.Wakeup{{Topic: core.Topic(words[1]), ID: words[2]}})
				}
			}
		}
	}()
	return func() {
		cancel()
		_ = listener.Close()
		<-done
		_ = pool.Close()
	}
}

func (*postgresDialect) tables() string {
	return "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
}

func (*postgresDialect) beginSnapshot() string {
	return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0"
}

// snapshotTo returns false, because PostgreSQL cannot write a SQLite file.
func (*postgresDialect) snapshotTo(context.Context, string) (supported bool, err error) {
	return false, nil
}

func (*postgresDialect) failure(err error) failure {
	var e pgdriver.Error
	if !errors.As(err, &e) {
		return connectionFailure(err)
	}
	switch code := e.Field('C'); code {
	case "23505":
		return failUnique
	case "23503":
		return failMissing
	case "40001", "40P01", "55P03", "57014": // transaction conflicts and statement timeouts
		return failBusy
	case "53100":
		return failFull
	default:
		switch class := code[:min(2, len(code))]; class {
		case "08", "53", "57", "58", "28", "25": // connection, resources, server, authentication, read-only
			return failDown
		}
	}
	return failOther
}

// connectionFailure classifies an error that is not a response from PostgreSQL.
func connectionFailure(err error) failure {
	var network net.Error
	for _, cause := range []error{io.EOF, io.ErrUnexpectedEOF, driver.ErrBadConn, sql.ErrConnDone, net.ErrClosed} {
		if errors.Is(err, cause) {
			return failDown
		}
	}
	if errors.As(err, &network) {
		return failDown
	}
	return failOther
}
