package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/storage/migrations"
)

// schemaRow records that a migration is applied.
type schemaRow struct {
	bun.BaseModel `bun:"table:schema_migrations,alias:m"`

	Version   int    `bun:"version,pk"`
	Name      string `bun:"name,notnull"`
	AppliedAt int64  `bun:"applied_at,notnull"`
}

// Migrate applies the missing migrations. Each migration and its record are one transaction, so after
// a crash the next call continues. If the schema is newer than this program, Migrate fails and
// changes nothing.
func (db *DB) Migrate(ctx context.Context) error { return db.migrate(ctx, migrations.All()) }

func (db *DB) migrate(ctx context.Context, all []migrations.Migration) error {
	begin, at := time.Now(), 0
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
		return fmt.Errorf("the database has schema %d, but this version of agentarea supports schemas up to %d: "+
			"run the newer agentarea that migrated it, or restore a backup from before", at, len(all))
	}
	for i, m := range all[at:] {
		version, start := at+i+1, time.Now()
		err := db.write(ctx, func(ctx context.Context, tx *tx) error { return apply(ctx, tx, version, m) })
		if err != nil {
			return fmt.Errorf("migrate the database to schema %d (%s): %w", version, m.Name, err)
		}
		if at > 0 {
			db.logger.InfoContext(ctx, "migrated the database", "schema", version, "name", m.Name, "duration", time.Since(start))
		}
	}
	if at == 0 && len(all) > 0 {
		db.logger.InfoContext(ctx, "created the database schema", "schema", len(all), "duration", time.Since(begin))
	}
	return nil
}

// apply applies one migration, unless another process has already applied it.
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
