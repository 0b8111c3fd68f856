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

// These are dumps of databases that programs with each released schema wrote.
var (
	//go:embed testdata/schema1.sql
	schema1 string
	//go:embed testdata/schema2.sql
	schema2 string
)

// dumps contains the dumps by schema version, starting with 1.
var dumps = []string{schema1, schema2}

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

// TestUpgrade checks that a migration from each released schema keeps all rows, and that newer features
// work afterwards.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	tables := []int{10, 13}
	for i, dump := range dumps {
		t.Run(fmt.Sprint("schema ", i+1), func(t *testing.T) {
			t.Parallel()
			db := openDump(t, dump)
			columns := columnsOf(t, db)
			before := contents(t, db, columns)
			if len(before) != tables[i] || len(before["runs"]) != 3 {
				t.Fatalf("unexpected rows in the dump: %v", before)
			}
			must(t, db.Migrate(t.Context()))
			checkIntegrity(t, db)
			for table, rows := range contents(t, db, columns) {
				before[table] = slices.DeleteFunc(before[table], func(row string) bool { return slices.Contains(rows, row) })
			}
			for table, lost := range before {
				if len(lost) > 0 {
					t.Errorf("table %s lost row %q", table, lost)
				}
			}
			checkUpgraded(t, db)
		})
	}
}

// checkUpgraded uses old rows and features of newer schemas.
func checkUpgraded(t *testing.T, db *storage.DB) {
	t.Helper()
	ctx, bob := t.Context(), core.Actor{UserID: "user-0002bob", Role: core.RoleMember}
	run, err := db.Run(ctx, bob, "run-0002")
	must(t, err)
	if run.Error == nil || run.Error.Message != "später" || run.Seed != 1<<64-1 {
		t.Errorf("unexpected run %+v", run)
	}
	blob := core.Blob{Backend: "local", Key: "1"}
	must(t, db.ReserveBlob(ctx, blob, time.Now()))
	must(t, db.CreateFile(ctx, nil, &core.File{ID: "file-1", CreatedBy: bob.UserID, Blob: blob}, 0))
	_, err = db.File(ctx, bob, "file-1")
	must(t, err)
	must(t,
		db.CreateMCPServer(ctx, nil, bob, &core.MCPServer{ID: "server-1", Slug: "tools", CreatedBy: bob.UserID}, false))
	_, err = db.MCPServerBySlug(ctx, bob, "tools")
	must(t, err)
}

// TestReleasedSchemaIsFrozen checks that the first migrations still create the schemas of the dumps.
func TestReleasedSchemaIsFrozen(t *testing.T) {
	t.Parallel()
	for i, dump := range dumps {
		now := openAt(t, newPath(t), storage.Options{})
		must(t, now.MigrateTo(t.Context(), migrations.All()[:i+1]))
		released, today := schema(t, openDump(t, dump)), schema(t, now)
		if !slices.Equal(released, today) {
			t.Errorf("schema %d changed:\n got %q\nwant %q", i+1, today, released)
		}
	}
}

func schema(t *testing.T, db *storage.DB) []string {
	t.Helper()
	var all []string
	must(t,
		db.Reader().NewRaw("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name").Scan(t.Context(), &all))
	return all
}

// columnsOf returns the column names of each table.
func columnsOf(t *testing.T, db *storage.DB) map[string][]string {
	t.Helper()
	var rows []struct{ Tab, Col string }
	must(t, db.Reader().NewRaw(`SELECT m.name AS tab, c.name AS col FROM sqlite_master AS m, pragma_table_info(m.name) AS c
WHERE m.type = 'table'`).Scan(t.Context(), &rows))
	columns := map[string][]string{}
	for _, r := range rows {
		columns[r.Tab] = append(columns[r.Tab], r.Col)
	}
	return columns
}

// contents returns the rows of each table as text.
func contents(t *testing.T, db *storage.DB, columns map[string][]string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for table, names := range columns {
		var rows []map[string]any
		q := db.Reader().NewSelect().Table(table)
		for _, name := range names {
			q.ColumnExpr("?", bun.Ident(name))
		}
		must(t, q.Scan(t.Context(), &rows))
		for _, row := range rows {
			all[table] = append(all[table], fmt.Sprint(row))
		}
	}
	return all
}
