package storage

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"
)

// Connections to PostgreSQL are made by pgx, which knows all parameters of URLs, and used by pgdriver, which has a
// time limit for each response.

// pool returns a pool of at most size connections.
func (d *postgresDialect) pool(size int) *sql.DB { return openPool(d.connector(), size) }

// connector returns the connector of all pools.
func (d *postgresDialect) connector() *pgdriver.Connector {
	return pgdriver.NewConnector(
		func(c *pgdriver.Config) { c.Dialer = d.connect },
		pgdriver.WithInsecure(true), // connect has done all that the URL asks for
		pgdriver.WithUser(d.config.ConnConfig.User), pgdriver.WithDatabase(d.config.ConnConfig.Database),
		pgdriver.WithReadTimeout(answerTimeout), pgdriver.WithWriteTimeout(connectTimeout), pgdriver.WithTracing(false),
		pgdriver.WithConnParams(map[string]any{
			"statement_timeout":                   strconv.FormatInt(statementTimeout.Milliseconds(), 10),
			"idle_in_transaction_session_timeout": strconv.FormatInt(idleTransaction.Milliseconds(), 10),
		}),
	)
}

func openPool(connector driver.Connector, size int) *sql.DB {
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	pool.SetConnMaxIdleTime(idleConnection)
	return pool
}

// maintenance returns a connection for long statements. Unlike the others it has no time limits, and a cancelled
// context ends a statement.
func (d *postgresDialect) maintenance(context.Context) (*bun.DB, error) {
	config := d.config.ConnConfig.Copy()
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		_, err := conn.Exec(ctx, "SET statement_timeout = 0").ReadAll() // PgBouncer refuses it as a start-up parameter
		return err
	}
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(1)
	return bun.NewDB(pool, pgdialect.New()), nil
}

// connectError is the reason why there is no connection to PostgreSQL. It does not unwrap its cause, because the
// end of connect_timeout is not the end of the caller's context.
type connectError struct {
	cause error
	// permanent reports whether another attempt would fail, too.
	permanent bool
}

// Error returns one line without the password.
func (e *connectError) Error() string {
	return strings.Join(strings.Fields(e.cause.Error()), " ")
}

func newConnectError(cause error) *connectError {
	var refused *pgconn.PgError
	if errors.As(cause, &refused) {
		switch refused.Code[:min(2, len(refused.Code))] {
		case "28", "3D", "42": // authentication, no such database, no privilege
			return &connectError{cause, true}
		}
		return &connectError{cause, false}
	}
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	return &connectError{cause, errors.As(cause, &certificate) || errors.As(cause, &authority)}
}

// dial connects to the first host that accepts the connection, and signs in.
func (d *postgresDialect) dial(ctx context.Context) (*pgconn.PgConn, error) {
	conn, err := pgconn.ConnectConfig(ctx, &d.config.ConnConfig.Config)
	if err == nil {
		return conn, nil
	}
	return nil, cmp.Or(ctx.Err(), error(newConnectError(err)))
}

// connect returns a connection for pgdriver. It ignores the network and the address.
func (d *postgresDialect) connect(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	err = conn.SyncConn(ctx)
	if err != nil {
		return nil, errors.Join(newConnectError(err), conn.Close(ctx))
	}
	h, err := conn.Hijack()
	if err != nil {
		return nil, errors.Join(newConnectError(err), conn.Close(ctx))
	}
	c := &signedInConn{Conn: h.Conn}
	c.greeting, err = greeting(h.ParameterStatuses)
	return c, err
}

// greeting returns the messages with which PostgreSQL accepts a user.
func greeting(parameters map[string]string) (messages []byte, err error) {
	messages, err = (&pgproto3.AuthenticationOk{}).Encode(messages)
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if err == nil {
			messages, err = (&pgproto3.ParameterStatus{Name: name, Value: parameters[name]}).Encode(messages)
		}
	}
	if err != nil {
		return nil, err
	}
	return (&pgproto3.ReadyForQuery{TxStatus: 'I'}).Encode(messages)
}

// signedInConn is a connection whose user has signed in already. pgdriver starts each connection with a start-up
// message and waits for the end of the sign-in. So the first write is dropped, and the greeting is read first.
type signedInConn struct {
	net.Conn
	greeting []byte
	started  bool
}

// Write implements net.Conn.
func (c *signedInConn) Write(b []byte) (int, error) {
	if !c.started {
		c.started = true
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// Read implements net.Conn.
func (c *signedInConn) Read(b []byte) (int, error) {
	if len(c.greeting) > 0 {
		n := copy(b, c.greeting)
		c.greeting = c.greeting[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// needsSessions is the remedy for a connection pooler in transaction mode.
const needsSessions = "the server needs sessions of PostgreSQL, which a connection pooler in transaction mode does not " +
	"have, for prepared statements and LISTEN. Use the URL of PostgreSQL itself (the direct connection of a hosted " +
	"service), or set pool_mode = session in PgBouncer"

// checkConnection connects twice and checks that each connection has its own session, which it keeps. A pooler in
// transaction or statement mode gives the next statement of any client to any connection to PostgreSQL.
func (d *postgresDialect) checkConnection(ctx context.Context) error {
	var sessions [2]string
	var conns [2]*pgconn.PgConn
	for i := range conns {
		conn, err := d.dial(ctx)
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it has only read
		conns[i] = conn
	}
	// The order finds a pooler that uses the newest of its connections, the oldest or only one.
	for _, i := range []int{0, 1, 0, 0, 1, 1} {
		session, err := conns[i].Exec(ctx, "SELECT pg_backend_pid()").ReadAll()
		if err != nil {
			return cmp.Or(ctx.Err(), error(newConnectError(err)))
		}
		if len(session) != 1 || len(session[0].Rows) != 1 {
			return errors.New("the database does not answer SELECT pg_backend_pid()")
		}
		id := string(session[0].Rows[0][0])
		if sessions[1-i] == id || sessions[i] != "" && sessions[i] != id {
			return fmt.Errorf("the database URL leads to a connection pooler in transaction mode: %s", needsSessions)
		}
		sessions[i] = id
	}
	return nil
}
