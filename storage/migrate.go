package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/storage/migrations"
)

// schemaRow says that a migration is done.
type schemaRow struct {
	bun.BaseModel `bun:"table:schema_migrations,alias:m"`

	Version   int    `bun:"version,pk"`
	Name      string `bun:"name,notnull"`
	AppliedAt int64  `bun:"applied_at,notnull"`
}

// Migrate brings the schema to this program's. Each migration is one transaction
// with the row that says that it is done, so a kill between or within them is
// made good by the next call. It fails, and changes nothing, when the database
// is of a newer program.
func (db *DB) Migrate(ctx context.Context) error { return db.migrate(ctx, migrations.All()) }

func (db *DB) migrate(ctx context.Context, all []migrations.Migration) error {
	var at int
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		if _, err := tx.NewCreateTable().Model((*schemaRow)(nil)).IfNotExists().Exec(ctx); err != nil {
			return err
		}
		return tx.NewSelect().Model((*schemaRow)(nil)).ColumnExpr("coalesce(max(version), 0)").Scan(ctx, &at)
	})
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	if at > len(all) {
		return fmt.Errorf("the database has schema %d and this agentarea knows %d at most: "+
			"run the newer agentarea that wrote it, or restore a backup from before", at, len(all))
	}
	for i, m := range all[at:] {
		version := at + i + 1
		err := db.write(ctx, func(ctx context.Context, tx *tx) error { return apply(ctx, tx, version, m) })
		if err != nil {
			return fmt.Errorf("migrate the database to schema %d (%s): %w", version, m.Name, err)
		}
	}
	return nil
}

// apply does one migration, unless another process did it meanwhile.
func apply(ctx context.Context, tx *tx, version int, m migrations.Migration) error {
	row := &schemaRow{Version: version, Name: m.Name, AppliedAt: micros(time.Now())}
	done, err := tx.NewSelect().Model(row).WherePK().Exists(ctx)
	if err != nil || done {
		return err
	}
	if err := m.Up(ctx, tx); err != nil {
		return err
	}
	_, err = tx.NewInsert().Model(row).Exec(ctx)
	return err
}
