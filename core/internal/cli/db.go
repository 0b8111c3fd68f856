package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/backup"
	"github.com/agentarea/agentarea/core/internal/datadir"
	"github.com/agentarea/agentarea/storage"
)

// dbCommands are the agentarea db commands.
type dbCommands struct {
	Migrate dbMigrateCommand `cmd:"" help:"Migrate the database to the schema of this program, as serve does when it starts."`
	Status  dbStatusCommand  `cmd:"" help:"Print the schema version of the database and the servers that use it, and warn if their secret keys or plugins.hcl differ. Changes nothing."`
	Check   dbCheckCommand   `cmd:"" help:"Check the integrity of the database, its foreign keys, and that the content of files is in the data dir. Changes nothing. Exits with 1 if there are problems. Servers may be running."`
	Vacuum  dbVacuumCommand  `cmd:"" help:"Reclaim the space of deleted rows. A SQLite file becomes smaller, and no server may use it. Servers on PostgreSQL may be running."`
	Copy    dbCopyCommand    `cmd:"" help:"Copy everything from one database to an empty one, and verify it. No server may run on either."`
}

// databaseFlags are the flags of a command that works on the database of a server. serve has the same
// flags.
type databaseFlags struct {
	DataDir     string `default:"data" env:"AGENTAREA_DATA_DIR" help:"The server's data dir. It contains agentarea.db, unless --database-url is set." placeholder:"DIR"`
	DatabaseURL string `env:"AGENTAREA_DATABASE_URL" help:"sqlite:///path or postgres://user:password@host:5432/database." placeholder:"URL" unset:"agentarea.db in the data dir"`
}

func (d *databaseFlags) url() string { return datadir.DatabaseURL(d.DatabaseURL, d.DataDir) }

// checkSchema returns an error unless the database has the schema of this program.
func checkSchema(ctx context.Context, db *storage.DB) error {
	s, err := db.Schema(ctx)
	switch {
	case err != nil:
		return err
	case s.Version < s.Known:
		return fmt.Errorf("the database has schema %d, but this version of agentarea needs schema %d: run agentarea db "+
			"migrate first", s.Version, s.Known)
	case s.Version > s.Known:
		return fmt.Errorf("the database has schema %d, but this version of agentarea supports schemas up to %d: use the "+
			"newer version of agentarea that migrated it", s.Version, s.Known)
	}
	return nil
}

// dbMigrateCommand is agentarea db migrate.
type dbMigrateCommand struct{ databaseFlags }

// Run migrates the database and prints the migrations.
func (c *dbMigrateCommand) Run(ctx context.Context, out *output) error {
	return storage.With(ctx, c.url(), storage.Options{}, func(db *storage.DB) error {
		before, err := db.Schema(ctx)
		if err != nil {
			return err
		}
		if err := db.Migrate(ctx); err != nil {
			return err
		}
		if before.Version == before.Known {
			_, _ = fmt.Fprintf(out.stdout, "schema %d is up to date: nothing to do\n", before.Known)
			return nil
		}
		_, _ = fmt.Fprintf(out.stdout, "migrated schema %d to %d: %s\n",
			before.Version, before.Known, strings.Join(before.Missing, ", "))
		return nil
	})
}

// dbStatusCommand is agentarea db status.
type dbStatusCommand struct{ databaseFlags }

// Run prints the status of the database.
func (c *dbStatusCommand) Run(ctx context.Context, out *output) error {
	return storage.With(ctx, c.url(), storage.Options{Existing: true}, func(db *storage.DB) error {
		s, err := db.Schema(ctx)
		if err != nil {
			return err
		}
		word := "up to date"
		switch {
		case s.Version > s.Known:
			word = fmt.Sprintf("newer than this version of agentarea, which supports schemas up to %d", s.Known)
		case len(s.Missing) > 0:
			word = fmt.Sprintf("run agentarea db migrate to migrate it to %d: %s", s.Known, strings.Join(s.Missing, ", "))
		}
		w := tabwriter.NewWriter(out.stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintf(w, "database\t%s\nschema\t%d (%s)\nservers\t%d\n",
			storage.PublicURL(c.url()), s.Version, word, s.Servers)
		if err := w.Flush(); err != nil || s.Version != s.Known || s.Servers == 0 {
			return err
		}
		servers, err := db.Servers(ctx, time.Now())
		if err != nil {
			return err
		}
		return printServers(out.stdout, servers)
	})
}

// printServers prints a table of servers, and warnings if their configurations differ.
func printServers(stdout io.Writer, servers []core.Server) error {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(w, "\nHOST\tSTARTED\tVERSION\tSECRET KEYS\tPLUGINS.HCL\n")
	keys, plugins, versions := false, false, false
	for i := range servers {
		s := &servers[i]
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n",
			s.Host, s.StartedAt.Format(time.RFC3339), s.Version, strings.Join(s.Keys, ","), s.Plugins)
		for j := range i {
			keys = keys || !s.SharesKeys(&servers[j])
			plugins = plugins || !s.SharesPlugins(&servers[j])
			versions = versions || s.Version != servers[j].Version
		}
	}
	err := w.Flush()
	if keys {
		_, _ = fmt.Fprintln(stdout, "WARNING: the servers have different secret keys: tokens and secrets of one server do not "+
			"work on another. Start all of them with the same AGENTAREA_SECRET_KEY.")
	}
	if plugins {
		_, _ = fmt.Fprintln(stdout, "WARNING: the servers have different plugins.hcl files, or different variables in them. "+
			"Use the same on all servers, and reload it.")
	}
	if versions {
		_, _ = fmt.Fprintln(stdout, "The servers have different versions, as during a rolling upgrade.")
	}
	return err
}

// dbCopyCommand is agentarea db copy.
type dbCopyCommand struct {
	From string `required:"" help:"The database to copy: sqlite:///path or postgres://user:password@host:5432/database." placeholder:"URL"`
	To   string `required:"" help:"The empty database to fill. Its schema is created." placeholder:"URL"`
}

// Run copies the database and prints the rows and the checksum of each table.
func (c *dbCopyCommand) Run(ctx context.Context, out *output) error {
	if c.From == c.To {
		return errors.New("--from and --to are the same database")
	}
	w := tabwriter.NewWriter(out.stdout, 0, 0, 2, ' ', 0)
	rows := 0
	err := backup.Copy(ctx, c.From, c.To, func(t storage.CopiedTable) {
		rows += t.Rows
		_, _ = fmt.Fprintf(w, "%s\t%s rows\t%.16s\n", t.Name, humanize.Comma(int64(t.Rows)), t.Sum)
	})
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, "verified\t%s rows\trow counts and checksums match\n", humanize.Comma(int64(rows)))
	return w.Flush()
}
