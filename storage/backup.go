package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage/migrations"
)

// Snapshot writes a consistent copy of the database to a new SQLite file, which Open can open. The copy
// has the same schema, no active servers and another instance. Servers can use the database meanwhile.
// Snapshot fails if the schema is newer than this program.
func (db *DB) Snapshot(ctx context.Context, path string) error {
	s, err := db.Schema(ctx)
	switch {
	case err != nil:
		return err
	case s.Version == 0:
		return errors.New("the database is empty, so there is nothing to back up")
	case s.Version > s.Known:
		return fmt.Errorf("the database has schema %d, but this version of agentarea supports schemas up to %d: "+
			"use the newer agentarea that migrated it", s.Version, s.Known)
	}
	supported, err := db.dialect.snapshotTo(ctx, path)
	if err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	to, err := Open(ctx, "sqlite://"+path, Options{})
	if err != nil {
		return err
	}
	tables, err := to.tables(ctx)
	if err != nil {
		return errors.Join(err, to.Close())
	}
	if supported {
		err = to.write(ctx, func(ctx context.Context, tx *tx) error {
			for _, table := range []string{"leases", "servers", "instance"} {
				if !slices.Contains(tables, table) {
					continue // the schema is older
				}
				if _, err := tx.NewDelete().Table(table).Where("TRUE").Exec(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	} else if err = to.migrate(ctx, migrations.All()[:s.Version]); err == nil {
		err = copyAll(ctx, db, to, func(CopiedTable) {})
	}
	return errors.Join(err, to.Close())
}

// Sums returns the row count and the checksum of each table, as Copy reports them.
func (db *DB) Sums(ctx context.Context) ([]CopiedTable, error) {
	tables, err := db.copied(ctx)
	if err != nil {
		return nil, err
	}
	at, err := db.snapshot(ctx)
	if err != nil {
		return nil, db.translate(err)
	}
	defer at.end() //nolint:contextcheck // it must end even if ctx is done
	sums := make([]CopiedTable, len(tables))
	for i, t := range tables {
		if sums[i], err = t.each(ctx, at, func([]map[string]any) error { return nil }); err != nil {
			return nil, fmt.Errorf("table %s: %w", t.name, db.translate(err))
		}
	}
	return sums, nil
}

// MustBeEmpty returns an error if a table has rows, if a server uses the database, or if its schema is
// newer than this program.
func (db *DB) MustBeEmpty(ctx context.Context) error {
	s, err := db.Schema(ctx)
	switch {
	case err != nil:
		return err
	case s.Servers > 0:
		return fmt.Errorf("the database is in use by %s: stop all servers first (a killed server counts for 20 s), "+
			"and use a new database", countServers(s.Servers))
	case s.Version > s.Known:
		return fmt.Errorf("the database has schema %d, but this version of agentarea supports schemas up to %d: use a "+
			"new database",
			s.Version, s.Known)
	}
	tables, err := db.copied(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		hasRows, err := db.read.NewSelect().Table(t.name).Exists(ctx)
		if err != nil {
			return db.translate(err)
		}
		if hasRows {
			return fmt.Errorf("the database is not empty, because its table %s has rows: use a new database", t.name)
		}
	}
	return nil
}

// EachFile calls do for every file, ordered by id, until do returns an error.
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
