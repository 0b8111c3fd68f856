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

// postgresDialect keeps everything in a database that servers share.
type postgresDialect struct {
	address  postgresAddress
	user     string
	password string
	database string
	tls      *tls.Config
	app      string
	// name tells this server's words from others'.
	name string
}

type postgresAddress struct{ network, address string }

const (
	// statementTimeout ends a statement in the server, for one whose caller is gone
	// would go on; answerTimeout is when a server that says nothing counts as lost.
	statementTimeout = 10 * time.Second
	answerTimeout    = 12 * time.Second
	connectTimeout   = 5 * time.Second
	idleConnection   = 5 * time.Minute
	idleTransaction  = 5 * time.Second

	countingConnections = 4
)

// parsePostgres reads postgres://user:password@host:port/database?sslmode=…. The
// password is in none of its errors.
func parsePostgres(text string) (*postgresDialect, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("database URL: not a URL (write postgres://user:password@host:5432/database)")
	}
	d := &postgresDialect{user: u.User.Username(), database: strings.TrimPrefix(u.Path, "/"), app: "agentarea", name: core.NewID("db")}
	d.password, _ = u.User.Password()
	if d.user == "" || d.database == "" {
		return nil, errors.New("database URL: the user or the database is missing (write postgres://user:password@host:5432/database)")
	}
	q := u.Query()
	for name := range q {
		switch name {
		case "sslmode", "sslrootcert", "host", "port", "application_name":
		default:
			return nil, fmt.Errorf("database URL: unknown parameter %q (known: sslmode, sslrootcert, host, port, application_name)", name)
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
		return nil, errors.New("database URL: the host is missing (write postgres://user:password@host:5432/database)")
	case strings.HasPrefix(host, "/"):
		d.address = postgresAddress{"unix", filepath.Join(host, ".s.PGSQL."+port)}
	default:
		d.address = postgresAddress{"tcp", net.JoinHostPort(host, port)}
	}
	d.tls, err = postgresTLS(host, q.Get("sslmode"), q.Get("sslrootcert"))
	return d, err
}

// postgresTLS is the safest that makes sense unless a mode is given: the
// certificate and the name are verified, but for a server on this machine.
func postgresTLS(host, mode, rootFile string) (*tls.Config, error) {
	local := strings.HasPrefix(host, "/") || host == "localhost" || net.ParseIP(host).IsLoopback()
	if mode == "" && !local {
		mode = "verify-full"
	}
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if rootFile != "" {
		pem, err := os.ReadFile(rootFile)
		if err != nil {
			return nil, fmt.Errorf("database URL: sslrootcert: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("database URL: sslrootcert: no certificate in %s", rootFile)
		}
	}
	switch mode {
	case "", "disable":
		return nil, nil //nolint:nilnil // no TLS
	case "require":
		if rootFile == "" {
			config.InsecureSkipVerify = true // what require means: encrypted, to whom it may be
			return config, nil
		}
		return onlyChain(config), nil
	case "verify-ca":
		return onlyChain(config), nil
	case "verify-full":
		return config, nil
	default:
		return nil, fmt.Errorf("database URL: sslmode %q: must be disable, require, verify-ca or verify-full", mode)
	}
}

// onlyChain verifies who signed the certificate, and not its name.
func onlyChain(config *tls.Config) *tls.Config {
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

// queue has connections of its own, and one that listens.
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
	c.Host, c.Port = "postgres", 5432 // names only: DialFunc knows the way
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

// counting has connections of its own, so that a count waits for no other query.
func (d *postgresDialect) counting() *sql.DB { return d.pool(countingConnections) }

// rewrite numbers the arguments.
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

// alone takes turns with the other servers: a transaction carries all writes that
// wait, so one at a time is enough, and they need not fear one another. A server
// that stops in mid-transaction loses its turn after idleTransaction.
func (*postgresDialect) alone(ctx context.Context, tx *tx) error {
	_, err := tx.exec(ctx, takeTurn)
	return err
}

// takeTurn's number is ours among all that use the database.
var takeTurn = &preparedStatement{"SELECT pg_advisory_xact_lock(7041600)"}

// notifyChannel is where servers tell one another.
const notifyChannel = "agentarea"

var notify = &preparedStatement{"SELECT pg_notify('" + notifyChannel + "', ?)"}

// tell sends a line of words: who tells, the topic and the id.
func (d *postgresDialect) tell(ctx context.Context, tx *tx) error {
	for _, s := range tx.wakeups {
		if _, err := tx.exec(ctx, notify, d.name+" "+string(s.Topic)+" "+s.ID); err != nil {
			return err
		}
	}
	return nil
}

// listen connects again, for as long as it takes. What is told meanwhile is lost.
func (d *postgresDialect) listen(heard func([]core.Wakeup)) (stop func()) {
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
		told := listener.Channel(pgdriver.WithChannelSize(1000))
		for {
			select {
			case <-ctx.Done():
				return
			case n, ok := <-told:
				if !ok {
					return
				}
				words := strings.SplitN(n.Payload, " ", 3)
				if len(words) == 3 && words[0] != d.name {
					heard([]core.Wakeup{{Topic: core.Topic(words[1]), ID: words[2]}})
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

// snapshotTo has no file to give.
func (*postgresDialect) snapshotTo(context.Context, string) (whole bool, err error) {
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
	case "40001", "40P01", "55P03", "57014": // conflicts of transactions, and statements that took too long
		return failBusy
	case "53100":
		return failFull
	default:
		switch class := code[:min(2, len(code))]; class {
		case "08", "53", "57", "58", "28", "25": // the connection, its resources, the server, who we are, read-only
			return failDown
		}
	}
	return failOther
}

// connectionFailure is what is wrong when the server has not said it.
func connectionFailure(err error) failure {
	var network net.Error
	for _, gone := range []error{io.EOF, io.ErrUnexpectedEOF, driver.ErrBadConn, sql.ErrConnDone, net.ErrClosed} {
		if errors.Is(err, gone) {
			return failDown
		}
	}
	if errors.As(err, &network) {
		return failDown
	}
	return failOther
}
