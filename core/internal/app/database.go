package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"github.com/agentarea/agentarea/storage"
)

// databaseCommands are agentarea db ….
type databaseCommands struct {
	Migrate migrateCommand `cmd:"" help:"Bring the database's schema to this program's, as serve does when it starts."`
	Status  statusCommand  `cmd:"" help:"Tell the schema of the database and how many servers run on it. Changes nothing."`
	Copy    copyCommand    `cmd:"" help:"Copy everything from one database to an empty one, and verify it. No server may run on either."`
}

// database is the one that a command is about; it is found as serve finds it.
type database struct {
	DataDir     string `default:"data" env:"AGENTAREA_DATA_DIR" help:"Where agentarea.db is, unless there is a database URL." placeholder:"DIR"`
	DatabaseURL string `env:"AGENTAREA_DATABASE_URL" help:"sqlite:///path or postgres://user:password@host:5432/database." placeholder:"URL" unset:"agentarea.db in the data dir"`
}

func (d *database) url() string {
	if d.DatabaseURL != "" {
		return d.DatabaseURL
	}
	return "sqlite://" + filepath.Join(d.DataDir, "agentarea.db")
}

type migrateCommand struct{ database }

func (c *migrateCommand) run(ctx context.Context, stdout io.Writer) error {
	return withDatabase(ctx, c.url(), storage.Options{}, func(db *storage.DB) error {
		before, err := db.Schema(ctx)
		if err != nil {
			return err
		}
		if err := db.Migrate(ctx); err != nil {
			return err
		}
		if before.Version == before.Known {
			_, _ = fmt.Fprintf(stdout, "schema %d: nothing to do\n", before.Known)
			return nil
		}
		_, _ = fmt.Fprintf(stdout, "schema %d to %d: %s\n", before.Version, before.Known, strings.Join(before.Missing, ", "))
		return nil
	})
}

type statusCommand struct{ database }

func (c *statusCommand) run(ctx context.Context, stdout io.Writer) error {
	return withDatabase(ctx, c.url(), storage.Options{Existing: true}, func(db *storage.DB) error {
		s, err := db.Schema(ctx)
		if err != nil {
			return err
		}
		word := "up to date"
		switch {
		case s.Version > s.Known:
			word = fmt.Sprintf("newer than this program, which knows %d at most", s.Known)
		case len(s.Missing) > 0:
			word = fmt.Sprintf("agentarea db migrate brings it to %d: %s", s.Known, strings.Join(s.Missing, ", "))
		}
		w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintf(w, "database\t%s\nschema\t%d (%s)\nservers\t%d\n", withoutPassword(c.url()), s.Version, word, s.Servers)
		return w.Flush()
	})
}

type copyCommand struct {
	From string `required:"" help:"The database to copy: sqlite:///path or postgres://user:password@host:5432/database." placeholder:"URL"`
	To   string `required:"" help:"The empty one to fill; its schema is made." placeholder:"URL"`
}

func (c *copyCommand) run(ctx context.Context, stdout io.Writer) error {
	if c.From == c.To {
		return errors.New("--from and --to are the same database")
	}
	return withDatabase(ctx, c.From, storage.Options{Existing: true}, func(from *storage.DB) error {
		return withDatabase(ctx, c.To, storage.Options{}, func(to *storage.DB) error {
			if err := to.Migrate(ctx); err != nil {
				return err
			}
			w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
			rows := 0
			err := storage.Copy(ctx, from, to, func(t storage.CopiedTable) {
				rows += t.Rows
				_, _ = fmt.Fprintf(w, "%s\t%s rows\t%.16s\n", t.Name, humanize.Comma(int64(t.Rows)), t.Sum)
			})
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(w, "verified\t%s rows\tcounts and checksums are the same on both sides\n", humanize.Comma(int64(rows)))
			return w.Flush()
		})
	})
}

func withDatabase(ctx context.Context, url string, o storage.Options, do func(*storage.DB) error) error {
	db, err := storage.Open(ctx, url, o)
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close())
}

// withoutPassword is a database's URL for people to see.
func withoutPassword(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return text
	}
	return u.Redacted()
}
