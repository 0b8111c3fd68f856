package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage/migrations"
)

// Snapshot writes all that the database has at one moment into a new SQLite file,
// which Open opens: a whole database of the same schema, on which no server runs.
// Servers may run on this one. It fails when the schema is newer than this program's.
func (db *DB) Snapshot(ctx context.Context, path string) error {
	s, err := db.Schema(ctx)
	switch {
	case err != nil:
		return err
	case s.Version == 0:
		return errors.New("the database is empty: there is nothing to back up")
	case s.Version > s.Known:
		return fmt.Errorf("the database has schema %d and this agentarea knows %d at most: use the newer agentarea that wrote it", s.Version, s.Known)
	}
	whole, err := db.dialect.snapshotTo(ctx, path)
	if err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	to, err := Open(ctx, "sqlite://"+path, Options{})
	if err != nil {
		return err
	}
	if whole {
		err = to.write(ctx, func(ctx context.Context, tx *tx) error {
			_, err := tx.NewDelete().Model((*leaseRow)(nil)).Where("TRUE").Exec(ctx)
			return err
		})
	} else if err = to.migrate(ctx, migrations.All()[:s.Version]); err == nil {
		err = copyAll(ctx, db, to, func(CopiedTable) {})
	}
	return errors.Join(err, to.Close())
}

// Sums counts and sums up the rows of each table, as Copy tells of them.
func (db *DB) Sums(ctx context.Context) ([]CopiedTable, error) {
	tables, err := db.copied(ctx)
	if err != nil {
		return nil, err
	}
	at, err := db.snapshot(ctx)
	if err != nil {
		return nil, db.translate(err)
	}
	defer at.end() //nolint:contextcheck // it ends, whatever the caller wants
	sums := make([]CopiedTable, len(tables))
	for i, t := range tables {
		if sums[i], err = t.each(ctx, at, func([]map[string]any) error { return nil }); err != nil {
			return nil, fmt.Errorf("table %s: %w", t.name, db.translate(err))
		}
	}
	return sums, nil
}

// MustBeEmpty fails when a table has rows, when a server runs on the database, or
// when its schema is newer than this program's.
func (db *DB) MustBeEmpty(ctx context.Context) error {
	s, err := db.Schema(ctx)
	switch {
	case err != nil:
		return err
	case s.Servers > 0:
		return fmt.Errorf("%d server(s) run on the database: stop them (one that was killed counts for 20 s), and take a new one", s.Servers)
	case s.Version > s.Known:
		return fmt.Errorf("the database has schema %d and this agentarea knows %d at most: take a new one", s.Version, s.Known)
	}
	tables, err := db.copied(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		some, err := db.read.NewSelect().Table(t.name).Exists(ctx)
		if err != nil {
			return db.translate(err)
		}
		if some {
			return fmt.Errorf("the database is not empty: its table %s has rows (take a new one)", t.name)
		}
	}
	return nil
}

// EachFile calls do for every file there is, by id.
func (db *DB) EachFile(ctx context.Context, do func(*core.File) error) error {
	for after := ""; ; {
		var rows []fileRow
		err := db.read.NewSelect().Model(&rows).Where("id > ?", after).Order("id").Limit(copyRows).Scan(ctx)
		if err != nil || len(rows) == 0 {
			return db.translate(err)
		}
		for i := range rows {
			if err := do(rows[i].file()); err != nil {
				return err
			}
		}
		after = rows[len(rows)-1].ID
	}
}
