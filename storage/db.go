package storage

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

// The interfaces that DB implements.
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
	_ core.IdempotencyKeyStore  = (*DB)(nil)
	_ core.NotificationStore    = (*DB)(nil)
	_ core.RetentionStore       = (*DB)(nil)
	_ core.UserDataStore        = (*DB)(nil)
	_ core.UsageStore           = (*DB)(nil)
	_ core.Wakeups              = (*DB)(nil)
	_ core.TaskQueue            = (*DB)(nil)
	_ core.EncryptedSecretStore = (*DB)(nil)
)

// Options configures Open. The zero value is valid.
type Options struct {
	// BusyTimeout is the maximum time that a write waits for the lock of another process. After it
	// the write fails with Unavailable. The default is 5 s.
	BusyTimeout time.Duration
	// Readers is the maximum number of concurrent reads. The default is 4 on SQLite and 8 on
	// PostgreSQL.
	Readers int
	// Metrics receives the write metrics. It can be nil.
	Metrics Metrics
	// ObjectLimits limit the objects of each user. The zero value means no limits.
	ObjectLimits core.ObjectLimits
	// Existing makes Open fail if the SQLite file does not exist.
	Existing bool
	// Logger receives schema changes, at the level info, and the lines of the task queue, at the level debug. It can
	// be nil.
	Logger *slog.Logger
}

// Metrics records metrics of writes. Its method is called by one goroutine at a time.
type Metrics interface {
	// WriteBatch records a transaction that was committed or rolled back: the number of its writes,
	// the time that the first one waited for the transaction to begin, and the time that the
	// transaction took.
	WriteBatch(writes int, waited, took time.Duration, rolledBack bool)
}

// dialect hides the differences between databases.
type dialect interface {
	// open returns a pool with a single connection for writes and a pool for reads.
	open(ctx context.Context, o Options) (writer, reader *bun.DB, err error)
	// queue returns a driver with separate connections for the task queue. end closes them.
	queue(o Options) (driver riverdriver.Driver[*sql.Tx], end func() error, err error)
	// rateCounter returns a pool for counting requests. It returns nil if the database has only one
	// server, which counts in memory.
	rateCounter() *sql.DB
	// rewrite translates a prepared statement for the database. Statements use ? for arguments and
	// end with FOR UPDATE if the row that they read must not change until the commit.
	rewrite(statement string) string
	// lockWrites blocks the writes of other servers until the transaction that has just begun ends,
	// so that what it reads stays true.
	lockWrites(ctx context.Context, tx *tx) error
	// notify sends the wakeups of the transaction to the other servers when it commits.
	notify(ctx context.Context, tx *tx) error
	// listen calls receive with the wakeups of other servers until stop is called.
	listen(receive func([]core.Wakeup)) (stop func())
	// tables returns a query for the names of all tables.
	tables() string
	// beginSnapshot returns a statement that begins a read-only transaction with a consistent view.
	beginSnapshot() string
	// snapshotTo writes a consistent copy of the database to a new SQLite file. If the database
	// cannot do that, it returns false and creates no file.
	snapshotTo(ctx context.Context, path string) (supported bool, err error)
	// checkConnection returns nil if the database can be used. It returns a connectError if the database server
	// cannot be reached.
	checkConnection(ctx context.Context) error
	// maintenance returns a pool with one connection for long statements. The caller must close it.
	maintenance(ctx context.Context) (*bun.DB, error)
	// findDamage calls found for damaged pages and indexes.
	findDamage(ctx context.Context, db *bun.DB, found func(Problem)) error
	// findMissingParents calls found for rows whose foreign keys refer to rows that do not exist.
	findMissingParents(ctx context.Context, db *bun.DB, found func(Problem)) error
	// vacuum reclaims the space of deleted rows, and updates what the database knows about its tables.
	vacuum(ctx context.Context, db *bun.DB, tables []string) error
	// size returns a query for the size of the database in bytes.
	size() string
	// failure classifies an error of the driver.
	failure(err error) failure
}

// DB is an open database. It is safe for concurrent use.
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
	limits     core.ObjectLimits
	quota      *dataQuota
	logger     *slog.Logger
	close      func() error
}

// Open opens a database. The URL is sqlite:///path/to/file or
// postgres://user:password@host:5432/database. The path of a SQLite file is used literally, without
// percent-decoding. Open creates a missing file but not a missing folder. Call Migrate before any
// other method.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = 5 * time.Second
	}
	if isPostgres(url) {
		if o.Readers == 0 {
			o.Readers = postgresReaders
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
	path, ok := SQLitePath(url)
	if !ok {
		return nil, errors.New("the database URL is not valid: use sqlite:///path/to/file or " +
			"postgres://user:password@host:5432/database")
	}
	return open(ctx, sqliteDialect{path: path}, o)
}

// SQLitePath returns the path in the URL of a SQLite database. ok is false for other URLs.
func SQLitePath(url string) (path string, ok bool) {
	path, ok = strings.CutPrefix(url, "sqlite:")
	path = strings.TrimPrefix(path, "//")
	return path, ok && path != ""
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
	jobs, err := newJobClient(queue, queueLogger(o.Logger))
	if err != nil {
		return nil, errors.Join(err, closeQueue(), reader.Close(), writer.Close())
	}
	w := &wakeups{subscribers: map[int]func(core.Wakeup){}}
	unlisten := d.listen(w.deliver)
	ratePool := d.rateCounter()
	db := &DB{
		dialect:    d,
		wakeups:    w,
		writer:     newCommitter(writer, d, o, w), //nolint:contextcheck // the committer outlives the call
		read:       reader,
		statements: newStatements(reader.DB, d),
		queue:      queue,
		limits:     o.ObjectLimits,
		logger:     o.Logger,
		jobs:       jobs,
	}
	db.quota = newDataQuota(o.ObjectLimits.DatabaseBytes, db.dataUsage)
	if ratePool != nil {
		db.rates = newRates(db, ratePool)
	}
	// The writer is closed last, because SQLite's last connection merges the log into the file.
	db.close = sync.OnceValue(func() error {
		db.closed.Store(true)
		db.writer.stop()
		unlisten()
		return errors.Join(closeQueue(), db.rates.close(), reader.Close(), writer.Close())
	})
	return db, nil
}

// Close finishes the waiting writes and closes the database. Later calls fail with Unavailable.
func (db *DB) Close() error { return db.close() }

// connectRetry is the time between two attempts to connect.
const connectRetry = time.Second

// Connect returns nil if the database can be used. While the database server cannot be reached, or starts, Connect
// tries again until wait has passed, and calls waiting after each failure. It does not wait if the server refuses
// the user. It fails if a connection pooler takes the session from a connection.
func (db *DB) Connect(ctx context.Context, wait time.Duration, waiting func(error)) error {
	for deadline := time.Now().Add(wait); ; {
		err := db.dialect.checkConnection(ctx)
		var down *connectError
		if !errors.As(err, &down) {
			return err
		}
		left := time.Until(deadline)
		if down.permanent || left <= 0 {
			return err
		}
		waiting(err)
		select {
		case <-time.After(min(left, connectRetry)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Ping returns nil if the database can be read.
func (db *DB) Ping(ctx context.Context) error {
	var n int
	err := db.read.NewSelect().Table("schema_migrations").ColumnExpr("count(*)").Scan(ctx, &n)
	return db.translate(err)
}

// write executes run in a transaction that it shares with other writes, and returns when the
// transaction is durable. If ctx is done before the write begins, write returns ctx's error and
// changes nothing. Afterwards it returns the actual outcome, even if ctx is done.
func (db *DB) write(ctx context.Context, run func(ctx context.Context, tx *tx) error) error {
	return db.translate(db.writer.do(ctx, run))
}

// queryRow reads one row with a prepared statement. It does not pass ctx's cancellation to the
// driver, because watching a context costs two goroutines, which is more than such a read takes.
func (db *DB) queryRow(ctx context.Context, p *preparedStatement, args []any, dest ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return db.translate(db.statements.queryRow(context.WithoutCancel(ctx), p, args, dest...))
}

// query calls each for the rows that a prepared statement returns. It ignores cancellation as
// queryRow does.
func (db *DB) query(ctx context.Context, p *preparedStatement, args []any, each func(*sql.Rows) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return db.translate(db.statements.query(context.WithoutCancel(ctx), p, args, each))
}

// checkLimit returns Conflict if the rows that q selects, which belong to one user, have reached the limit. The
// transaction then creates one more. setting is the flag that sets the limit.
func checkLimit(ctx context.Context, q *bun.SelectQuery, limit int, noun, setting string) error {
	if limit <= 0 {
		return nil
	}
	n, err := q.Count(ctx)
	if err != nil || int(n) < limit {
		return err
	}
	return core.Conflict("You have %s, which is the maximum. Delete one first, or ask an admin to raise %s",
		core.Count(int(n), noun), setting)
}

// list scans one page of a query into its model and returns the number of all rows. after is the condition for the
// rows after page.After, whose Number and Text are ?0 and ?1 in it. The rows must be small; listSized is for others.
func (db *DB) list(ctx context.Context, q *bun.SelectQuery, page core.Page, after string) (int, error) {
	n, err := q.Count(ctx)
	total := int(n)
	if err != nil || emptyPage(page, total) {
		return total, db.translate(err)
	}
	err = onPage(q, page, after).Scan(ctx)
	return total, db.translate(err)
}

// emptyPage reports whether a page of a list with that many rows has no rows.
func emptyPage(page core.Page, total int) bool {
	return page.Limit <= 0 || page.After == nil && page.Offset >= total
}

// onPage restricts a query to the rows of a page.
func onPage(q *bun.SelectQuery, page core.Page, after string) *bun.SelectQuery {
	if page.After != nil {
		return q.Where(after, page.After.Number, page.After.Text).Limit(int64(page.Limit))
	}
	return q.Limit(int64(page.Limit)).Offset(int64(page.Offset))
}

// listSized is list for rows that can be large. The page ends before its rows exceed core.MaxPageBytes, but has at
// least one row. The size of a row is that of the given columns. The sizes are read first and without
// the rows, because a database keeps all columns of the rows that it sorts in memory.
func (db *DB) listSized(
	ctx context.Context, q *bun.SelectQuery, page core.Page, after, key string, columns ...string,
) (int, error) {
	n, err := q.Count(ctx)
	total := int(n)
	if err != nil || emptyPage(page, total) {
		return total, db.translate(err)
	}
	size := make([]string, len(columns))
	for i, c := range columns {
		size[i] = "OCTET_LENGTH(" + c + ")"
	}
	var keys []string
	var sizes []int
	err = onPage(q.Clone().Column(key).ColumnExpr(strings.Join(size, " + ")), page, after).Scan(ctx, &keys, &sizes)
	if err != nil || len(keys) == 0 {
		return total, db.translate(err)
	}
	err = q.Where("? IN (?)", bun.Ident(key), bun.List(keys[:pageEnd(sizes)])).Scan(ctx)
	return total, db.translate(err)
}

// pageEnd returns how many of the rows with the given sizes fit on a page.
func pageEnd(sizes []int) int {
	bytes := 0
	for i, size := range sizes {
		if bytes += size; bytes > core.MaxPageBytes && i > 0 {
			return i
		}
	}
	return len(sizes)
}
