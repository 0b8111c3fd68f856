package migrations

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
)

// river brings the queue's own tables to a version of River's, in the step's
// transaction. It takes two steps, for PostgreSQL can't use in a transaction what
// version 4 adds to a type in it.
func river(version int) func(context.Context, bun.IDB) error {
	return func(ctx context.Context, db bun.IDB) error {
		in, ok := db.(interface{ Unwrap() *sql.Tx })
		if !ok {
			return fmt.Errorf("%T is no transaction", db)
		}
		var driver riverdriver.Driver[*sql.Tx] = riversqlite.New(nil)
		if db.Dialect().Name() == dialect.PG {
			driver = riverdatabasesql.New(nil)
		}
		migrator, err := rivermigrate.New(driver, nil)
		if err != nil {
			return err
		}
		_, err = migrator.MigrateTx(ctx, in.Unwrap(), rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: version}) //nolint:staticcheck // deprecated for all at once; these are the parts that may go together
		return err
	}
}
