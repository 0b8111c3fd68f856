package storage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/agentarea/agentarea/storage/migrations"
)

// Schema describes which migrations a database has, and how many servers use it.
type Schema struct {
	// Version is the number of the last applied migration, 0 in an empty database. Known is the
	// number of the last migration in this program.
	Version, Known int
	// Missing contains the names of the migrations that Migrate would apply.
	Missing []string
	// Servers is the number of servers that use the database. A killed server counts until its lease
	// expires 20 s later.
	Servers int
}

// Schema returns the schema of the database. It changes nothing and works before Migrate.
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

// checkCurrent returns an error unless the schema is current and no server uses the database.
func (db *DB) checkCurrent(ctx context.Context) error {
	s, err := db.Schema(ctx)
	switch {
	case err != nil:
		return err
	case s.Version < s.Known:
		return fmt.Errorf("its schema is %d, but this version of agentarea needs %d: run agentarea db migrate on it first",
			s.Version, s.Known)
	case s.Version > s.Known:
		return fmt.Errorf("its schema is %d, but this version of agentarea supports schemas up to %d: use the newer "+
			"version of agentarea that created it",
			s.Version, s.Known)
	case s.Servers > 0:
		return fmt.Errorf("it is in use by %s: stop all servers first (a killed server counts for 20 s)",
			countServers(s.Servers))
	}
	return nil
}

// countServers returns text such as "1 server" or "2 servers".
func countServers(n int) string {
	if n == 1 {
		return "1 server"
	}
	return fmt.Sprintf("%d servers", n)
}

// tables returns the names of all tables.
func (db *DB) tables(ctx context.Context) ([]string, error) {
	var names []string
	err := db.read.NewRaw(db.dialect.tables()).Scan(ctx, &names)
	return names, db.translate(err)
}
