package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/agentarea/agentarea/core/internal/backup"
	"github.com/agentarea/agentarea/core/internal/datadir"
	"github.com/agentarea/agentarea/storage"
)

// dbCheckCommand is agentarea db check.
type dbCheckCommand struct{ databaseFlags }

// Run prints the problems of each aspect. It returns an error if there are any.
func (c *dbCheckCommand) Run(ctx context.Context, out *output) error {
	return storage.With(ctx, c.url(), storage.Options{Existing: true}, func(db *storage.DB) error {
		if err := checkSchema(ctx, db); err != nil {
			return err
		}
		problems := map[storage.Aspect][]string{}
		err := db.Check(ctx, func(p storage.Problem) { problems[p.Aspect] = append(problems[p.Aspect], p.Text) })
		if err != nil {
			return err
		}
		contents := &backup.Contents{}
		damaged := len(problems[storage.AspectIntegrity]) > 0
		if !damaged {
			if contents, err = backup.CheckContents(ctx, db, c.DataDir); err != nil {
				return err
			}
		}
		problems[storage.AspectFiles] = append(problems[storage.AspectFiles], contents.Problems...)
		total := 0
		for _, aspect := range []storage.Aspect{
			storage.AspectIntegrity, storage.AspectForeignKeys, storage.AspectFiles,
		} {
			found := problems[aspect]
			total += len(found)
			verdict := "ok"
			switch {
			case len(found) > 0:
				verdict = english.Plural(len(found), "problem", "") + "\n  " + strings.Join(found, "\n  ")
			case damaged:
				verdict = "not checked"
			}
			_, _ = fmt.Fprintf(out.stdout, "%s: %s\n", aspect, verdict)
		}
		for _, f := range contents.Elsewhere {
			_, _ = fmt.Fprintf(out.stdout,
				"NOT CHECKED: the content of %s of the file backend %q, because the data dir %s contains none of it\n",
				countFiles(f), f.Backend, c.DataDir)
		}
		if total > 0 {
			return fmt.Errorf("%s in the database %s: restore a backup, or see docs/database.md",
				english.Plural(total, "problem", ""), storage.PublicURL(c.url()))
		}
		return nil
	})
}

// dbVacuumCommand is agentarea db vacuum.
type dbVacuumCommand struct{ databaseFlags }

// Run prints the size of the database before and after.
func (c *dbVacuumCommand) Run(ctx context.Context, out *output) error {
	return storage.With(ctx, c.url(), storage.Options{Existing: true}, func(db *storage.DB) (err error) {
		if path, ok := storage.SQLitePath(c.url()); ok {
			lock, err := datadir.LockDatabase(path, c.DataDir)
			if err != nil {
				return err
			}
			defer lock.Close() //nolint:errcheck // this releases the lock
		}
		before, after, err := db.Vacuum(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out.stdout, "vacuumed %s: %s, before %s\n", storage.PublicURL(c.url()),
			humanize.Bytes(uint64(max(after, 0))), humanize.Bytes(uint64(max(before, 0))))
		return err
	})
}
