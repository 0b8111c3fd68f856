package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage/fileowner"
)

// sqliteDialect stores everything in one file, with a write-ahead log next to it.
type sqliteDialect struct{ path string }

// lockTry is the maximum time that one attempt waits for the lock. The committer retries until the oldest write
// has waited for Options.BusyTimeout.
const lockTry = 250 * time.Millisecond

func (d sqliteDialect) open(ctx context.Context, o Options) (writer, reader *bun.DB, err error) {
	path, err := filepath.Abs(d.path)
	if err != nil {
		return nil, nil, err
	}
	if o.Existing {
		if _, err := os.Stat(path); err != nil {
			return nil, nil, fmt.Errorf("open the database: %w", err)
		}
	}
	if err := makePrivate(path); err != nil {
		return nil, nil, fmt.Errorf("open the database: %w", err)
	}
	writer, err = sqlitePool(path, 1, min(o.BusyTimeout, lockTry),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
		// 16 MB of log between checkpoints, so that pages that every turn touches are written back less
		// often.
		"wal_autocheckpoint(4000)", "journal_size_limit(67108864)", "cache_size(-8000)", "temp_store(MEMORY)")
	if err != nil {
		return nil, nil, err
	}
	// The first connection creates the log, which the readers need.
	if err := writer.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the database %s: %w", path, err), writer.Close())
	}
	reader, err = sqlitePool(path, o.Readers, o.BusyTimeout, "query_only(ON)", "temp_store(MEMORY)")
	if err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	return writer, reader, nil
}

// makePrivate creates a missing file that only its owner can read. The owner is the owner of the folder. SQLite would
// create a file that everybody can read, and gives its log the mode and owner of the file. makePrivate does not open an
// existing file, because closing it would release the locks that this process has on it.
func makePrivate(path string) error {
	file, err := fileowner.Create(path)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

func sqlitePool(path string, size int, busy time.Duration, pragmas ...string) (*bun.DB, error) {
	q := url.Values{"_pragma": append([]string{fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds())}, pragmas...)}
	q.Set("_txlock", "immediate")
	q.Set("_dqs", "0")
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	pool, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return bun.NewDB(pool, sqlitedialect.New()), nil
}

// queue returns a driver with a separate connection, because the queue reads and writes outside of
// the committer's transactions.
func (d sqliteDialect) queue(o Options) (riverdriver.Driver[*sql.Tx], func() error, error) {
	path, err := filepath.Abs(d.path)
	if err != nil {
		return nil, nil, err
	}
	pool, err := sqlitePool(path, 1, o.BusyTimeout, "synchronous(FULL)", "foreign_keys(ON)")
	if err != nil {
		return nil, nil, err
	}
	return riversqlite.New(pool.DB), pool.Close, nil
}

// checkConnection returns nil, because open has opened the file.
func (sqliteDialect) checkConnection(context.Context) error { return nil }

// maintenance returns a connection that keeps its temporary files on the disk, because a copy of the database can be
// larger than the memory.
func (d sqliteDialect) maintenance(context.Context) (*bun.DB, error) {
	path, err := filepath.Abs(d.path)
	if err != nil {
		return nil, err
	}
	return sqlitePool(path, 1, lockTry, "temp_store(FILE)")
}

// rateCounter returns nil, because a SQLite file has only one server.
func (sqliteDialect) rateCounter() *sql.DB { return nil }

// rewrite removes the row lock, because only one transaction can write.
func (sqliteDialect) rewrite(statement string) string {
	return strings.TrimSuffix(statement, " FOR UPDATE")
}

// lockWrites does nothing, because a transaction with _txlock=immediate has the lock of the file.
func (sqliteDialect) lockWrites(context.Context, *tx) error { return nil }

// notify and listen do nothing, because a SQLite file has only one server.
func (sqliteDialect) notify(context.Context, *tx) error        { return nil }
func (sqliteDialect) listen(func([]core.Wakeup)) (stop func()) { return func() {} }

func (sqliteDialect) tables() string {
	return "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
}

func (sqliteDialect) beginSnapshot() string { return "BEGIN" }

// snapshotTo makes SQLite write a copy without free pages. Other connections can read and write
// meanwhile.
func (d sqliteDialect) snapshotTo(ctx context.Context, path string) (supported bool, err error) {
	from, err := filepath.Abs(d.path)
	if err != nil {
		return false, err
	}
	if err := makePrivate(path); err != nil {
		return false, err
	}
	pool, err := sqlitePool(from, 1, lockTry)
	if err != nil {
		return false, err
	}
	_, err = pool.ExecContext(ctx, "VACUUM INTO ?", path)
	return true, errors.Join(err, pool.Close())
}

func (sqliteDialect) failure(err error) failure {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return failOther
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return failUnique
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return failMissing
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return failBusy
	case sqlite3.SQLITE_FULL:
		return failFull
	case sqlite3.SQLITE_READONLY:
		return failReadOnly
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT,
		sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL:
		return failDown
	}
	return failOther
}
