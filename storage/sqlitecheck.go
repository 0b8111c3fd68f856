package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// maxIntegrityProblems is the number of problems after which SQLite stops its check.
const maxIntegrityProblems = 100

func (sqliteDialect) findDamage(ctx context.Context, conn *bun.DB, found func(Problem)) error {
	var verdicts []string
	err := conn.NewRaw("PRAGMA integrity_check(?)", maxIntegrityProblems).Scan(ctx, &verdicts)
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_CORRUPT {
		verdicts, err = append(verdicts, e.Error()), nil // the damage is such that SQLite cannot continue
	}
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		if v != "ok" {
			found(Problem{AspectIntegrity, v})
		}
	}
	return nil
}

func (sqliteDialect) findMissingParents(ctx context.Context, conn *bun.DB, found func(Problem)) error {
	var orphans []struct {
		Child, Parent string
		Rows          int
	}
	err := conn.NewRaw(`SELECT "table" AS child, parent, COUNT(*) AS rows FROM pragma_foreign_key_check
GROUP BY 1, 2 ORDER BY 1, 2`).Scan(ctx, &orphans)
	for _, o := range orphans {
		found(missingParents(o.Child, o.Parent, o.Rows))
	}
	return err
}

func missingParents(child, parent string, rows int) Problem {
	text := fmt.Sprintf("%d rows of the table %s refer to rows of %s that do not exist", rows, child, parent)
	if rows == 1 {
		text = fmt.Sprintf("1 row of the table %s refers to a row of %s that does not exist", child, parent)
	}
	return Problem{AspectForeignKeys, text}
}

// vacuum rebuilds the database file and merges the write-ahead log into it.
func (sqliteDialect) vacuum(ctx context.Context, conn *bun.DB, _ []string) error {
	for _, statement := range []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (sqliteDialect) size() string {
	return "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
}
