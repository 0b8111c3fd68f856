package storage

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/storage/migrations"
)

// Write executes a write.
func (db *DB) Write(ctx context.Context, run func(ctx context.Context, db bun.IDB) error) error {
	return db.write(ctx, func(ctx context.Context, tx *tx) error { return run(ctx, tx) })
}

// Waiting returns the number of queued writes.
func (db *DB) Waiting() int { return len(db.writer.queue) }

// WithoutComments returns a statement without its comments.
func WithoutComments(query string) string { return withoutComments(query) }

// MigrateTo applies the given migrations.
func (db *DB) MigrateTo(ctx context.Context, all []migrations.Migration) error {
	return db.migrate(ctx, all)
}

// ReadUsageAlways makes the quota read a user's usage however long that takes.
func (db *DB) ReadUsageAlways() { db.quota.slow = time.Hour }

// Maintenance returns a connection for long statements.
func (db *DB) Maintenance(ctx context.Context) (*bun.DB, error) { return db.dialect.maintenance(ctx) }

// Reader returns the pool for reads.
func (db *DB) Reader() *bun.DB { return db.read }

// PreparedStatements returns the SQL of the prepared statements.
func PreparedStatements() []string {
	var all []string
	for _, p := range []*preparedStatement{
		insertPendingBlob, renewPendingBlob, deleteReservedBlob, selectMCPServer, selectMCPSlug, lockMCPServer,
		insertFile, addUsage, selectUsage, selectFile, lockFile,
		selectUser, selectLogin, selectAgent, lockAgent, lockSession, touchSession, endTurn, endLongTurn, countLater,
		selectDataUsage, selectAgentSize, selectServerSize, selectFileSize,
		insertMessage, selectMessage, selectHistory, selectOfUser, selectOfUserChats, selectOfSession, selectKey, putKey, endUnownedRun,
		insertRun, endRun, retryRun, fenceRun, putCall, selectCalls, appendEvent, putEvent, selectEvents,
		selectLease, touchLease,
	} {
		all = append(all, sqliteDialect{}.rewrite(p.sql))
	}
	return all
}

// Tables returns the names of all tables.
func (db *DB) Tables(ctx context.Context) ([]string, error) { return db.tables(ctx) }

// Copied returns the names of the tables that Copy copies.
func Copied() []string {
	var names []string
	for _, t := range copiedTables {
		names = append(names, t.name)
	}
	return names
}
