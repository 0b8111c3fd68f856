package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

// The stores that a DB is.
var (
	_ core.UserStore            = (*DB)(nil)
	_ core.LoginStore           = (*DB)(nil)
	_ core.APIKeyStore          = (*DB)(nil)
	_ core.AuditStore           = (*DB)(nil)
	_ core.AgentStore           = (*DB)(nil)
	_ core.SessionStore         = (*DB)(nil)
	_ core.MessageStore         = (*DB)(nil)
	_ core.RunStore             = (*DB)(nil)
	_ core.EventStore           = (*DB)(nil)
	_ core.FileStore            = (*DB)(nil)
	_ core.TaskStore            = (*DB)(nil)
	_ core.NotificationStore    = (*DB)(nil)
	_ core.RetentionStore       = (*DB)(nil)
	_ core.Wakeups              = (*DB)(nil)
	_ core.TaskQueue            = (*DB)(nil)
	_ core.EncryptedSecretStore = (*DB)(nil)
)

// Options are what Open may be told; the zero value is good.
type Options struct {
	// BusyTimeout is how long a write waits for another process's lock before
	// it fails with Unavailable; 5 s unless set.
	BusyTimeout time.Duration
	// Readers is how many reads run at once; 4 unless set, and 8 on PostgreSQL.
	Readers int
	// Metrics is told of the writes; may be left out.
	Metrics Metrics
	// Existing has Open fail when SQLite's file is not there.
	Existing bool
}

// Metrics is told how the database is written to.
type Metrics interface {
	// WriteBatch tells of a transaction of so many writes, that was committed or rolled back: how long the first waited
	// for its turn, and how long the transaction took.
	WriteBatch(writes int, waited, took time.Duration, rolledBack bool)
}

// dialect is what differs between databases.
type dialect interface {
	// open gives a pool of one connection for writing and one for reading.
	open(ctx context.Context, o Options) (writer, reader *bun.DB, err error)
	// queue gives the task queue's own connections, which end closes.
	queue(o Options) (driver riverdriver.Driver[*sql.Tx], end func() error, err error)
	// counting gives connections for counting requests; nil where one server counts
	// for itself.
	counting() *sql.DB
	// rewrite puts a hot statement into the database's own words. They are
	// written with ? for arguments, and FOR UPDATE at the end where a row must
	// stay as it was read until the commit.
	rewrite(statement string) string
	// alone keeps other servers' writes out until the transaction that was just
	// begun is over, so that what it reads stays true.
	alone(ctx context.Context, tx *tx) error
	// tell has the other servers on the database know what the transaction wakeups,
	// when it is committed, and listen hears what they tell, until stop.
	tell(ctx context.Context, tx *tx) error
	listen(heard func([]core.Wakeup)) (stop func())
	// tables is the query for the names of all tables, and beginSnapshot begins a
	// transaction that sees the database as it is now and does not write.
	tables() string
	beginSnapshot() string
	// snapshotTo writes the whole database as it is now to a new SQLite file, if it
	// can: else whole is false, and there is no file.
	snapshotTo(ctx context.Context, path string) (whole bool, err error)
	// failure classifies an error of the driver.
	failure(err error) failure
}

// DB is an open database.
type DB struct {
	dialect    dialect
	writer     *committer
	read       *bun.DB
	statements *statements
	wakeups    *wakeups
	rates      *rates
	jobs       *river.Client[*sql.Tx]
	queue      riverdriver.Driver[*sql.Tx]
	closed     atomic.Bool
	close      func() error
}

// Open opens the database of a URL: sqlite:///path/to/file or
// postgres://user:password@host:5432/database. SQLite's path is taken as it is,
// nothing in it is decoded; the file is made if it is not there, the folder is
// not. Call Migrate before anything else.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	if o.BusyTimeout == 0 {
		o.BusyTimeout = 5 * time.Second
	}
	scheme, path, ok := strings.Cut(url, ":")
	if ok && (scheme == "postgres" || scheme == "postgresql") {
		if o.Readers == 0 {
			o.Readers = 8
		}
		d, err := parsePostgres(url)
		if err != nil {
			return nil, err
		}
		return open(ctx, d, o)
	}
	if o.Readers == 0 {
		o.Readers = 4
	}
	path = strings.TrimPrefix(path, "//")
	if !ok || scheme != "sqlite" || path == "" {
		return nil, fmt.Errorf("database URL %q: write sqlite:// and the path of a file, or postgres://user:password@host:5432/database", scheme+":…")
	}
	return open(ctx, sqliteDialect{path: path}, o)
}

func open(ctx context.Context, d dialect, o Options) (*DB, error) {
	writer, reader, err := d.open(ctx, o)
	if err != nil {
		return nil, err
	}
	queue, closeQueue, err := d.queue(o)
	if err != nil {
		return nil, errors.Join(err, reader.Close(), writer.Close())
	}
	jobs, err := newJobClient(queue)
	if err != nil {
		return nil, errors.Join(err, closeQueue(), reader.Close(), writer.Close())
	}
	told := &wakeups{subscribers: map[int]func(core.Wakeup){}}
	unlisten := d.listen(told.raise)
	counting := d.counting()
	db := &DB{
		dialect:    d,
		wakeups:    told,
		writer:     newCommitter(writer, d, o, told), //nolint:contextcheck // it lives on
		read:       reader,
		statements: newStatements(reader.DB, d),
		queue:      queue,
		jobs:       jobs,
	}
	if counting != nil {
		db.rates = newRates(db, counting)
	}
	// The readers go first: SQLite's last connection folds the log into the file.
	db.close = sync.OnceValue(func() error {
		db.closed.Store(true)
		db.writer.stop()
		unlisten()
		return errors.Join(closeQueue(), db.rates.close(), reader.Close(), writer.Close())
	})
	return db, nil
}

// Close finishes the writes that wait and closes the database. Later calls fail
// with Unavailable.
func (db *DB) Close() error { return db.close() }

// Ping says whether the database can be read.
func (db *DB) Ping(ctx context.Context) error {
	var n int
	err := db.read.NewSelect().Table("schema_migrations").ColumnExpr("count(*)").Scan(ctx, &n)
	return db.translate(err)
}

// write runs a write in a transaction that it shares with others, and is back
// when it is durable. The row of the audit that ctx asks for goes with it. A caller whose ctx ends before its turn came gets ctx's
// error and has changed nothing; one whose turn has come gets the true outcome.
func (db *DB) write(ctx context.Context, run func(ctx context.Context, tx *tx) error) error {
	run, failed := audited(ctx, run)
	err := db.writer.do(ctx, run)
	if err != nil {
		failed()
	}
	return db.translate(err)
}

// queryRow reads one row with a prepared statement. It is not cut off by ctx:
// watching one costs two goroutines, more than such a read takes.
func (db *DB) queryRow(ctx context.Context, p *preparedStatement, args []any, dest ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return db.translate(db.statements.queryRow(context.WithoutCancel(ctx), p, args, dest...))
}

// query reads rows as queryRow does one.
func (db *DB) query(ctx context.Context, p *preparedStatement, args []any, each func(*sql.Rows) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return db.translate(db.statements.query(context.WithoutCancel(ctx), p, args, each))
}

// list counts all rows of a query and scans those of a page into its model.
func (db *DB) list(ctx context.Context, q *bun.SelectQuery, page core.Page) (int, error) {
	n, err := q.Count(ctx)
	total := int(n)
	if err != nil || page.Limit <= 0 || page.Offset >= total {
		return total, db.translate(err)
	}
	err = q.Limit(int64(page.Limit)).Offset(int64(page.Offset)).Scan(ctx)
	return total, db.translate(err)
}
