package storage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/agentarea/agentarea/storage/migrations"
)

// Schema is how far a database has been migrated, and what uses it.
type Schema struct {
	// Version is the last migration that was done, 0 in an empty database; Known
	// is the last that this program has.
	Version, Known int
	// Missing are the names of those that Migrate would do.
	Missing []string
	// Servers is how many run on the database now. A server that was killed counts
	// until its lease is over, 20 s later.
	Servers int
}

// Schema changes nothing.
func (db *DB) Schema(ctx context.Context) (Schema, error) {
	all := migrations.All()
	s := Schema{Known: len(all)}
	tables, err := db.tables(ctx)
	if err != nil {
		return s, err
	}
	if slices.Contains(tables, "schema_migrations") {
		err := db.read.NewSelect().Model((*schemaRow)(nil)).ColumnExpr("coalesce(max(version), 0)").Scan(ctx, &s.Version)
		if err != nil {
			return s, db.translate(err)
		}
	}
	if slices.Contains(tables, "leases") {
		n, err := db.read.NewSelect().Model((*leaseRow)(nil)).Where("until > ?", micros(time.Now())).Count(ctx)
		if err != nil {
			return s, db.translate(err)
		}
		s.Servers = int(n)
	}
	for _, m := range all[min(s.Version, len(all)):] {
		s.Missing = append(s.Missing, m.Name)
	}
	return s, nil
}

// current fails unless the schema is this program's.
func (db *DB) current(ctx context.Context) error {
	s, err := db.Schema(ctx)
	switch {
	case err != nil:
		return err
	case s.Version < s.Known:
		return fmt.Errorf("it has schema %d and this agentarea's is %d: run agentarea db migrate on it first", s.Version, s.Known)
	case s.Version > s.Known:
		return fmt.Errorf("it has schema %d and this agentarea knows %d at most: use the newer agentarea that wrote it", s.Version, s.Known)
	case s.Servers > 0:
		return fmt.Errorf("%d server(s) run on it: stop them (one that was killed counts for 20 s)", s.Servers)
	}
	return nil
}

func (db *DB) tables(ctx context.Context) ([]string, error) {
	var names []string
	err := db.read.NewRaw(db.dialect.tables()).Scan(ctx, &names)
	return names, db.translate(err)
}
