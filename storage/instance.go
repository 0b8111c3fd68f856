package storage

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type instanceRow struct {
	bun.BaseModel `bun:"table:instance,alias:i"`

	ID string `bun:"id,pk"`
}

// Instance returns the id of the database, and creates it at the first call. A copy of the database's file has
// the same id. Snapshot, Copy and a restore create databases with other ids.
func (db *DB) Instance(ctx context.Context) (string, error) {
	row := new(instanceRow)
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		err := tx.NewSelect().Model(row).Limit(1).Scan(ctx)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		row.ID = core.NewID("instance")
		_, err = tx.NewInsert().Model(row).Exec(ctx)
		return err
	})
	return row.ID, err
}
