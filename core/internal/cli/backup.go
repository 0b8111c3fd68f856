package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/agentarea/agentarea/core/internal/app"
	"github.com/agentarea/agentarea/core/internal/backup"
	"github.com/agentarea/agentarea/core/internal/backup/archive"
	"github.com/agentarea/agentarea/core/internal/datadir"
)

// backupCommand is agentarea backup.
type backupCommand struct {
	File string `arg:"" help:"The archive to write. It is a tar file and must not exist." placeholder:"FILE"`
	databaseFlags
	IncludeKey  bool `help:"Add the secret keys to the archive. Anyone who can read the archive can then decrypt the secrets."`
	SkipMissing bool `help:"Continue if the content of a file is missing or damaged, and list the file in the archive."`
}

// Run writes the archive and prints a summary of its content.
func (c *backupCommand) Run(ctx context.Context, out *output) error {
	m, err := backup.Create(ctx, backup.Options{
		File: c.File, DataDir: c.DataDir, DatabaseURL: c.url(),
		IncludeKey: c.IncludeKey, SkipMissing: c.SkipMissing, Version: app.Version,
	})
	if err != nil {
		return err
	}
	c.printSummary(out.stdout, m)
	return nil
}

func (c *backupCommand) printSummary(w io.Writer, m *archive.Manifest) {
	size := ""
	if info, err := os.Stat(c.File); err == nil {
		size = " (" + humanize.Bytes(uint64(max(info.Size(), 0))) + ")"
	}
	_, _ = fmt.Fprintf(w, "%s%s: %s, %s\n", c.File, size, countRows(m), countFiles(m.Files))
	printMissing(w, m)
	for _, f := range m.Elsewhere {
		_, _ = fmt.Fprintf(w,
			"NOT INCLUDED: %s of the file backend %q, which stores them outside the data dir. Back them up there.\n",
			countFiles(f), f.Backend)
	}
	if m.KeyIncluded {
		_, _ = fmt.Fprintln(w, "The archive contains the secret keys. Protect it as you protect the keys.")
		return
	}
	source := "AGENTAREA_SECRET_KEY"
	if s, err := datadir.FindKeys(c.DataDir, os.Getenv); err == nil {
		source = s.Name
	}
	_, _ = fmt.Fprintf(w,
		"NOT INCLUDED: the secret key (%s). Store it separately: without it, %s cannot be decrypted and all users must "+
			"sign in again. Use --include-key to add it to the archive.\n", source, english.Plural(m.Secrets, "secret", ""))
}

func printMissing(w io.Writer, m *archive.Manifest) {
	if len(m.Missing) > 0 {
		_, _ = fmt.Fprintf(w, "MISSING: the content of %s: %s\n",
			english.Plural(len(m.Missing), "file", ""), strings.Join(m.Missing, ", "))
	}
}

func countFiles(f archive.Files) string {
	return fmt.Sprintf("%s (%s)", english.Plural(f.Count, "file", ""), humanize.Bytes(uint64(max(f.Bytes, 0))))
}

func countRows(m *archive.Manifest) string {
	n := 0
	for _, t := range m.Tables {
		n += t.Rows
	}
	return english.Plural(n, "row", "")
}
