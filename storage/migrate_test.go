package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/storage/migrations"
)

// released is the current schema version.
var released = len(migrations.All())

// next returns all migrations and two more. The second one calls midway after its first statement.
func next(midway func() error) []migrations.Migration {
	half := func(statements ...string) func(ctx context.Context, db bun.IDB) error {
		return func(ctx context.Context, db bun.IDB) error {
			for i, s := range statements {
				if _, err := db.ExecContext(ctx, s); err != nil {
					return err
				}
				if len(statements) > 1 && i == 0 {
					if err := midway(); err != nil {
						return err
					}
				}
			}
			return nil
		}
	}
	return append(migrations.All(),
		migrations.Migration{Name: "one", Up: half(`ALTER TABLE users ADD COLUMN one INTEGER NOT NULL DEFAULT 1`)},
		migrations.Migration{Name: "two", Up: half(
			`UPDATE users SET username = username || '!'`,
			`ALTER TABLE users ADD COLUMN two INTEGER NOT NULL DEFAULT 2`,
		)},
	)
}

// migrateForever starts the last migration of next and waits within it.
func migrateForever(ctx context.Context, path string) error {
	db, err := storage.Open(ctx, "sqlite://"+path, storage.Options{})
	if err != nil {
		return err
	}
	return db.MigrateTo(ctx, next(func() error {
		fmt.Println("midway")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}))
}

// TestMigrate_logs checks that each schema change is one line at the level info, and that the creation of the schema is
// one line for all steps.
func TestMigrate_logs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agentarea.db")
	for _, step := range []struct {
		name string
		all  []migrations.Migration
		want []string
	}{
		{"a new database", migrations.All(), []string{
			fmt.Sprintf(`level=INFO msg="created the database schema" schema=%d `, released),
		}},
		{"a current database", migrations.All(), nil},
		{"an older database", next(func() error { return nil }), []string{
			fmt.Sprintf(`level=INFO msg="migrated the database" schema=%d name=one `, released+1),
			fmt.Sprintf(`level=INFO msg="migrated the database" schema=%d name=two `, released+2),
		}},
	} {
		var out bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&out, nil))
		db, err := storage.Open(t.Context(), "sqlite://"+path, storage.Options{Logger: logger})
		must(t, err)
		must(t, db.MigrateTo(t.Context(), step.all))
		must(t, db.Close())
		lines := slices.Collect(strings.Lines(out.String()))
		if len(lines) != len(step.want) {
			t.Errorf("%s: got the log\n%s\nwant %d lines", step.name, out.String(), len(step.want))
			continue
		}
		for i, want := range step.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s: got line %q, want it to contain %q", step.name, lines[i], want)
			}
		}
	}
}

// TestMigrationKilled checks that a kill within a migration keeps the earlier steps and nothing of the
// interrupted one, and that the next call applies it.
func TestMigrationKilled(t *testing.T) {
	t.Parallel()
	db, path := openNew(t, storage.Options{})
	must(t, db.CreateUser(t.Context(), nil, &core.User{ID: "user-1", Username: "ada"}))
	must(t, db.Close())

	p := startProcess(t, "migrate", path)
	p.line(t)
	p.kill(t)

	db = openAt(t, path, storage.Options{})
	checkIntegrity(t, db)
	wantUser(t, db, "ada", released+1)
	must(t, db.MigrateTo(t.Context(), next(func() error { return nil })))
	wantUser(t, db, "ada!", released+2)
	checkIntegrity(t, db)
}

// wantUser fails the test unless user-1 has the name and the schema has the version.
func wantUser(t *testing.T, db *storage.DB, name string, version int) {
	t.Helper()
	u, err := db.User(t.Context(), "user-1")
	must(t, err)
	var at int
	must(t, db.Reader().NewRaw("SELECT max(version) FROM schema_migrations").Scan(t.Context(), &at))
	if u.Username != name || at != version {
		t.Fatalf("user %q at schema %d, want %q at %d", u.Username, at, name, version)
	}
}

func TestMigrationFails(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	must(t, db.CreateUser(t.Context(), nil, &core.User{ID: "user-1", Username: "ada"}))
	broken := errors.New("broken")
	err := db.MigrateTo(t.Context(), next(func() error { return broken }))
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), fmt.Sprintf("schema %d (two)", released+2)) {
		t.Fatalf("got %v, want the error of migration two", err)
	}
	wantUser(t, db, "ada", released+1)
	must(t, db.MigrateTo(t.Context(), next(func() error { return nil })))
	wantUser(t, db, "ada!", released+2)
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	db, path := openNew(t, storage.Options{})
	must(t, db.CreateUser(t.Context(), nil, &core.User{ID: "user-1", Username: "ada"}))
	must(t, db.MigrateTo(t.Context(), next(func() error { return nil })))
	must(t, db.Close())
	db = openAt(t, path, storage.Options{})
	err := db.Migrate(t.Context())
	want := fmt.Sprintf("schema %d, but this version of agentarea supports schemas up to %d", released+2, released)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("Migrate() = %v, want %q", err, want)
	}
	wantUser(t, db, "ada!", released+2)
}

// TestConcurrentMigrations checks that servers that start at the same time can all migrate.
func TestConcurrentMigrations(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	var wg sync.WaitGroup
	for range 4 {
		db := openAt(t, path, storage.Options{})
		wg.Go(func() {
			if err := db.Migrate(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
