package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
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
	// config has the settings of the URL.
	config *pgxpool.Config
	// name identifies this server in the notifications that it sends.
	name string
}

const (
	// statementTimeout makes PostgreSQL end a statement, which would otherwise continue after its
	// caller has stopped waiting. A connection without a response for answerTimeout counts as lost.
	statementTimeout = 10 * time.Second
	answerTimeout    = 12 * time.Second
	connectTimeout   = 5 * time.Second
	idleConnection   = 5 * time.Minute
	idleTransaction  = 5 * time.Second

	rateConnections  = 4
	queueConnections = 3
	postgresReaders  = 8
)

// MaxPostgresConnections is the maximum number of connections of a server to PostgreSQL: those for reads, rate limits
// and the task queue, one for writes, and two that listen for notifications of servers and of the queue.
const MaxPostgresConnections = postgresReaders + rateConnections + queueConnections + 1 + 2

func (d *postgresDialect) open(_ context.Context, o Options) (writer, reader *bun.DB, err error) {
	return bun.NewDB(d.pool(1), pgdialect.New()), bun.NewDB(d.pool(o.Readers), pgdialect.New()), nil
}

// queue returns a driver with separate connections, one of which listens for notifications.
func (d *postgresDialect) queue(Options) (riverdriver.Driver[*sql.Tx], func() error, error) {
	config := d.config.Copy()
	config.MinConns, config.MaxConns = 0, 1
	listener, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, nil, err
	}
	pool := openPool(queueConnector{d.connector()}, queueConnections)
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
	var refused *connectError
	if errors.As(err, &refused) {
		return failDown
	}
	var e pgdriver.Error
	var maintenance *pgconn.PgError
	code := ""
	switch {
	case errors.As(err, &e):
		code = e.Field('C')
	case errors.As(err, &maintenance):
		code = maintenance.Code
	default:
		return connectionFailure(err)
	}
	switch code {
	case "23505":
		return failUnique
	case "23503":
		return failMissing
	case "40001", "40P01", "55P03", "57014": // transaction conflicts and statement timeouts
		return failBusy
	case "53100":
		return failFull
	case "25006":
		return failReadOnly
	default:
		switch class := code[:min(2, len(code))]; class {
		case "08", "53", "57", "58", "28", "25": // connection, resources, server, authentication, transaction
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
