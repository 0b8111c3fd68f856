package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

// Aspect is a part of Check.
type Aspect string

// The aspects of Check, in the order in which it looks at them.
const (
	AspectIntegrity   Aspect = "integrity"
	AspectForeignKeys Aspect = "foreign keys"
	AspectFiles       Aspect = "files"
)

// Problem is something that Check found. Its text is a sentence without a full stop.
type Problem struct {
	Aspect Aspect
	Text   string
}

// Check calls found for each problem of the database: damaged pages and indexes, rows whose parents are missing, and
// rows about files that contradict each other. It reads all rows. Servers can use the database meanwhile. If the
// integrity has problems, Check does not look at the other aspects, because it cannot rely on what it reads.
func (db *DB) Check(ctx context.Context, found func(Problem)) error {
	err := db.withMaintenance(ctx, func(conn *bun.DB) error {
		damaged := false
		err := db.dialect.findDamage(ctx, conn, func(p Problem) {
			damaged = true
			found(p)
		})
		if err != nil || damaged {
			return err
		}
		if err := db.dialect.findMissingParents(ctx, conn, found); err != nil {
			return err
		}
		return findFileProblems(ctx, conn, found)
	})
	if err != nil {
		return fmt.Errorf("check the database: %w", err)
	}
	return nil
}

// withMaintenance calls do with a connection for long statements, and closes it.
func (db *DB) withMaintenance(ctx context.Context, do func(*bun.DB) error) error {
	conn, err := db.dialect.maintenance(ctx)
	if err != nil {
		return db.translate(err)
	}
	return db.translate(errors.Join(do(conn), conn.Close()))
}

// fileProblems are queries for rows about files that contradict each other, with the text for a row.
var fileProblems = []struct{ query, text string }{
	{
		`SELECT f.id, o.key FROM files AS f JOIN orphans AS o ON o.backend = f.backend AND o.key = f.key ORDER BY f.id`,
		"the file %s refers to the content %s, which is marked for deletion",
	},
	{
		`SELECT u.user_id, 'files: ' || u.files || ', bytes: ' || u.bytes FROM file_usage AS u
WHERE u.bytes <> (SELECT COALESCE(SUM(f.size), 0) FROM files AS f WHERE f.created_by = u.user_id)
	OR u.files <> (SELECT COUNT(*) FROM files AS f WHERE f.created_by = u.user_id) ORDER BY u.user_id`,
		"the counters of user %s (%s) differ from the user's files",
	},
	{
		`SELECT f.created_by, 'files: ' || COUNT(*) FROM files AS f
WHERE NOT EXISTS (SELECT 1 FROM file_usage AS u WHERE u.user_id = f.created_by) GROUP BY f.created_by ORDER BY 1`,
		"the user %s (%s) has no counters",
	},
}

func findFileProblems(ctx context.Context, conn *bun.DB, found func(Problem)) error {
	for _, p := range fileProblems {
		err := scanPairs(ctx, conn, p.query, func(object, detail string) {
			found(Problem{AspectFiles, fmt.Sprintf(p.text, object, detail)})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// scanPairs calls each for the rows of a query with two columns of text.
func scanPairs(ctx context.Context, conn *bun.DB, query string, each func(a, b string)) (err error) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var a, b string
		if err := rows.Scan(&a, &b); err != nil {
			return err
		}
		each(a, b)
	}
	return rows.Err()
}

// EachPendingBlob calls do for every pending blob until do returns an error.
func (db *DB) EachPendingBlob(ctx context.Context, do func(core.Blob) error) error {
	var after core.Blob
	for {
		var rows []pendingBlobRow
		err := db.read.NewSelect().Model(&rows).Column("backend", "key").
			Where("(backend, key) > (?, ?)", after.Backend, after.Key).
			Order("backend", "key").Limit(copyRows).Scan(ctx)
		if err != nil || len(rows) == 0 {
			return db.translate(err)
		}
		for _, r := range rows {
			after = core.Blob{Backend: r.Backend, Key: r.Key}
			if err := do(after); err != nil {
				return err
			}
		}
	}
}

// Vacuum reclaims the space of deleted rows, and returns the size of the database before and after. A SQLite file
// becomes smaller, and no server may use it. PostgreSQL uses the space for new rows, and servers may run.
func (db *DB) Vacuum(ctx context.Context) (before, after int64, err error) {
	tables, err := db.tables(ctx)
	if err != nil {
		return 0, 0, err
	}
	err = db.withMaintenance(ctx, func(conn *bun.DB) error {
		if err := conn.NewRaw(db.dialect.size()).Scan(ctx, &before); err != nil {
			return err
		}
		if err := db.dialect.vacuum(ctx, conn, tables); err != nil {
			return err
		}
		return conn.NewRaw(db.dialect.size()).Scan(ctx, &after)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("vacuum the database: %w", err)
	}
	return before, after, nil
}
