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

// river returns a step that migrates the tables of the River queue to a version of River. There are two
// steps, because PostgreSQL cannot use an enum value in the transaction that adds it, and River's
// version 4 adds one.
func river(version int) func(context.Context, bun.IDB) error {
	return func(ctx context.Context, db bun.IDB) error {
		in, ok := db.(interface{ Unwrap() *sql.Tx })
		if !ok {
			return fmt.Errorf("cannot migrate River: %T is not a transaction", db)
		}
		var driver riverdriver.Driver[*sql.Tx] = riversqlite.New(nil)
		if db.Dialect().Name() == dialect.PG {
			driver = riverdatabasesql.New(nil)
		}
		migrator, err := rivermigrate.New(driver, nil)
		if err != nil {
			return err
		}
		_, err = migrator.MigrateTx(ctx, in.Unwrap(), rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: version}) //nolint:staticcheck // deprecated only because some versions cannot be combined; these can
		return err
	}
}
