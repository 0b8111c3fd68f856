package storage_test

import (
	"database/sql"
	_ "embed"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/storage/migrations"
)

// schema1 is the dump of a database that a program of schema 1 has written.
//
//go:embed testdata/schema1.sql
var schema1 string

func openDump(t *testing.T, dump string) *storage.DB {
	t.Helper()
	path := newPath(t)
	old, err := sql.Open("sqlite", path)
	must(t, err)
	_, err = old.ExecContext(t.Context(), dump)
	must(t, err)
	must(t, old.Close())
	return openAt(t, path, storage.Options{})
}

// TestUpgrade: a database of schema 1 has every row that it had, as it was, and
// what it cannot have yet works.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := openDump(t, schema1)
	before := contents(t, db)
	if len(before) != 10 || len(before["runs"]) != 3 {
		t.Fatalf("in the dump is %v", before)
	}
	must(t, db.Migrate(ctx))
	checkIntegrity(t, db)
	for table, rows := range contents(t, db) {
		before[table] = slices.DeleteFunc(before[table], func(row string) bool { return slices.Contains(rows, row) })
	}
	for table, lost := range before {
		if len(lost) > 0 {
			t.Errorf("%s lost %q", table, lost)
		}
	}

	bob := core.Viewer{UserID: "user-0002bob", Role: core.RoleMember}
	run, err := db.Run(ctx, bob, "run-0002")
	must(t, err)
	if run.Error == nil || run.Error.Message != "später" || run.Seed != 1<<64-1 {
		t.Errorf("run: %+v", run)
	}
	blob := core.Blob{Backend: "local", Key: "1"}
	must(t, db.ReserveBlob(ctx, blob, time.Now()))
	must(t, db.CreateFile(ctx, &core.File{ID: "file-1", CreatedBy: bob.UserID, Blob: blob}, 0))
	_, err = db.File(ctx, bob, "file-1")
	must(t, err)
}

// TestReleasedSchemaIsFrozen: the first step makes what it made when the dump
// was written.
func TestReleasedSchemaIsFrozen(t *testing.T) {
	t.Parallel()
	now := openAt(t, newPath(t), storage.Options{})
	must(t, now.MigrateTo(t.Context(), migrations.All()[:1]))
	released, today := schema(t, openDump(t, schema1)), schema(t, now)
	if !slices.Equal(released, today) {
		t.Errorf("schema 1 was\n%q\nand is now\n%q", released, today)
	}
}

func schema(t *testing.T, db *storage.DB) []string {
	t.Helper()
	var all []string
	must(t, db.Reader().NewRaw("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name").Scan(t.Context(), &all))
	return all
}

// contents are the rows of all tables, as text.
func contents(t *testing.T, db *storage.DB) map[string][]string {
	t.Helper()
	var tables []string
	must(t, db.Reader().NewRaw("SELECT name FROM sqlite_master WHERE type = 'table'").Scan(t.Context(), &tables))
	all := map[string][]string{}
	for _, table := range tables {
		var rows []map[string]any
		must(t, db.Reader().NewRaw("SELECT * FROM ?", bun.Ident(table)).Scan(t.Context(), &rows))
		for _, row := range rows {
			all[table] = append(all[table], fmt.Sprint(row))
		}
	}
	return all
}
